"""Power loss of Redis: killed, and its append-only file cut to its length of a second before."""

import threading
import time
from collections import deque
from pathlib import Path

from shared.embedded_redis import EmbeddedRedis

SAMPLE_S = 0.1
LOST_S = 1.0
KEPT_S = 30.0


class PowerMeter:
    """Notes the length of the append-only file, for as long as the server runs.

    Parameters
    ----------
    server
        Is not to rewrite its append-only file (`auto-aof-rewrite-percentage 0`).
    """

    def __init__(self, server: EmbeddedRedis) -> None:
        self._server = server
        self._sizes: deque[tuple[float, int]] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="power meter", daemon=True)

    def start(self) -> None:
        self.restarted()
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def restarted(self) -> None:
        """Forget the lengths of the server before: what it had is on disk now."""
        self._sizes = deque([(time.monotonic(), self._file().stat().st_size)])

    def strike(self) -> int:
        """Kill the server and cut its file; gives the bytes that are lost."""
        self._server.kill()
        now, path = time.monotonic(), self._file()
        kept = max([size for moment, size in self._sizes if moment <= now - LOST_S] or [self._sizes[0][1]])
        lost = path.stat().st_size - kept
        with path.open("r+b") as file:
            file.truncate(kept)
        return lost

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            sizes, now = self._sizes, time.monotonic()
            sizes.append((now, self._file().stat().st_size))
            while sizes[1][0] < now - KEPT_S:
                sizes.popleft()

    def _file(self) -> Path:
        """Give the file that is written to: Redis 7 has a folder of them, Redis 6 one."""
        folder = self._server.folder
        (path,) = [*folder.glob("appendonlydir/*.incr.aof"), *folder.glob("appendonly.aof")]
        return path
