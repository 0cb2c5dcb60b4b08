"""Three Sentinels that watch the Redis of the plant, and promote its replica."""

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import find_server

SERVICE = "plant"
DOWN_MS, FAILOVER_MS = 1000, 3000
"""Time (ms) without an answer after which a primary is down, and longest time of a failover."""


class Sentinels:
    """Sentinels on loopback.

    Parameters
    ----------
    folder
        Folder of their files.
    ports
        Port of each.
    """

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self.url = f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in ports)}/{SERVICE}"
        self._folder = folder
        self._ports = ports
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, primary: int) -> None:
        """Start them; `primary` is the port of the server that is the primary now."""
        for port in self._ports:
            home = self._folder / f"sentinel{port}"
            home.mkdir()
            file = home / "sentinel.conf"
            file.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {home}\n"
                f"sentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n"
                f"sentinel down-after-milliseconds {SERVICE} {DOWN_MS}\n"
                f"sentinel failover-timeout {SERVICE} {FAILOVER_MS}\n"
            )
            command = [find_server(), str(file), "--sentinel"]
            self._processes.append(processes.start(command, home / "redis.log"))

    def primary(self) -> int:
        """Return the port of the primary, as most of them say; 0 if they do not agree."""
        said = [self._ask(port, "GET-MASTER-ADDR-BY-NAME") for port in self._ports]
        named = [int(one[1]) for one in said if one]
        return next((port for port in named if 2 * named.count(port) > len(self._ports)), 0)

    def see_each_other(self) -> bool:
        """Return whether each knows the replica and the other Sentinels."""
        return all(
            len(self._ask(port, "REPLICAS") or ()) and len(self._ask(port, "SENTINELS") or ()) == 2
            for port in self._ports
        )

    def fail_over(self) -> bool:
        """Ask for a failover; return whether it has begun."""
        return self._ask(self._ports[0], "FAILOVER") is not None

    def stop(self) -> None:
        """End them."""
        for process in self._processes:
            processes.stop(process)

    def _ask(self, port: int, question: str) -> Any:
        """Ask one of them about the service; None if it does not answer, or refuses."""
        with connect(f"redis://127.0.0.1:{port}") as client, suppress(redis.RedisError):
            client.set_response_callback("SENTINEL", lambda reply, **_: reply)
            return client.execute_command("SENTINEL", question, SERVICE)
        return None
