"""Power loss of Redis: killed, and its append-only file cut to its length of a second before."""

import math
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from driftgauge.shared.local.embedded_redis import EmbeddedRedis

SAMPLE_S = 0.1
LOST_S = 1.0


class PowerMeter:
    """Notes the length of the append-only file, for as long as the server runs.

    Parameters
    ----------
    server
        The Redis server. If it rewrites its append-only file, only the new file is cut.
    """

    def __init__(self, server: EmbeddedRedis) -> None:
        self._server = server
        self._sizes: deque[tuple[float, Path, int]] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="power meter", daemon=True)

    def start(self) -> None:
        self.restarted(self._server)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def restarted(self, server: EmbeddedRedis) -> None:
        """Forget the lengths of the server before: what it had is on disk now."""
        self._server = server
        path = self._file()
        self._sizes = deque([(-math.inf, path, path.stat().st_size)])

    def size(self) -> int:
        """Return the length of the append-only file."""
        return self._file().stat().st_size

    def strike(self) -> int:
        """Kill the server and cut its file; return the number of lost bytes."""
        self._server.kill()
        now, path = time.monotonic(), self._file()
        kept = max(
            [
                size
                for moment, of, size in list(self._sizes)
                if of == path and moment <= now - LOST_S
            ],
            default=0,
        )
        lost = path.stat().st_size - kept
        with path.open("r+b") as file:
            file.truncate(kept)
        return lost

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            with suppress(FileNotFoundError, ValueError):  # it is just being replaced
                path = self._file()
                self._sizes.append((time.monotonic(), path, path.stat().st_size))

    def _file(self) -> Path:
        """Return the file that is written to: Redis 7 has a numbered row of them, Redis 6 one."""
        folder = self._server.folder
        found = [*folder.glob("appendonlydir/*.incr.aof"), *folder.glob("appendonly.aof")]
        return max(
            found, key=lambda path: [int(part) for part in path.name.split(".") if part.isdigit()]
        )
