"""The Redis of the plant: private, with a port for its replica, and with files that can be bounded,
as by a disk without space.
"""

import resource
import shutil
from pathlib import Path
from typing import Any

import redis

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.local.embedded_redis import EmbeddedRedis

IGNORE_BOUND = ("sh", "-c", 'trap "" XFSZ; exec "$@"', "sh")
"""Runs a command that a bound of its files does not end: its writes fail, as on a full disk."""


class Server(EmbeddedRedis):
    """A private Redis that a replica can follow.

    Parameters
    ----------
    folder
        Folder of its append-only file.
    port
        Port on loopback that replicas use; clients use the socket.
    primary
        Port of the server that it follows; None if it follows none.
    """

    def __init__(self, folder: Path, port: int, primary: int | None = None) -> None:
        super().__init__(folder)
        self.port = port
        self.primary = primary

    @property
    def runs(self) -> bool:
        return self._process is not None

    def _command(self) -> list[str]:
        address = ["--bind", "127.0.0.1", "--port", str(self.port)]
        given = [*super()._command(), *address, "--auto-aof-rewrite-percentage", "0"]
        given += ["--repl-diskless-sync-delay", "0"]
        if self.primary is not None:
            given += ["--replicaof", f"127.0.0.1 {self.primary}"]
        return [*IGNORE_BOUND, *given]

    def client(self) -> redis.Redis:
        return connect(self.url)

    def told(self, section: str) -> dict[str, Any]:
        """Ask it for a section of INFO."""
        with self.client() as client:
            found: dict[str, Any] = client.info(section)
            return found

    def follows(self) -> bool:
        """Return whether it has all that its primary had, on disk too."""
        link, disk = self.told("replication"), self.told("persistence")
        rewriting = disk["aof_rewrite_in_progress"] or disk.get("aof_rewrite_scheduled")
        return bool(link.get("master_link_status") == "up" and not rewriting)

    def remove(self) -> None:
        """End it, and delete what it stored."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def bound_files(pid: int, most_bytes: int | None) -> None:
    """Let a process write no file beyond a size; None lets it write again."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    soft = hard if most_bytes is None else most_bytes
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
