"""A server of a Redis Cluster, which can be killed, cut off and started again."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import redis

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import find_server

HOST: Final = "127.0.0.1"


class Node:
    """A server of a cluster.

    Parameters
    ----------
    folder
        Folder of its files.
    """

    def __init__(self, folder: Path, port: int, options: Sequence[str]) -> None:
        folder.mkdir()
        self.port = port
        self.url = f"redis://{HOST}:{port}"
        self.client = connect(self.url)
        self._log = folder / "redis.log"
        self._command = [find_server(), "--port", str(port), "--bind", HOST, "--dir", str(folder)]
        self._command += ["--cluster-enabled", "yes", "--save", "", "--maxmemory", "0", *options]
        users = folder / "users.acl"
        users.touch()
        self._command += ["--aclfile", str(users)]
        self.process = self._start()

    def start(self) -> None:
        """Start it again; it joins the cluster by itself."""
        self.process = self._start()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it, and the connections to it."""
        processes.stop(self.process)
        self.client.close()

    def ask(self, *command: str | int) -> Any:
        """Send it a command; return its reply as it is."""
        self.client.set_response_callback(command[0], lambda reply, **_: reply)  # type: ignore[arg-type]  # the first word is one
        return self.client.execute_command(*command)

    def answers(self) -> bool:
        """Tell whether it answers."""
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    @property
    def id(self) -> str:
        """Its name in the cluster."""
        return str(self.ask("CLUSTER", "MYID").decode())

    @property
    def leads(self) -> bool:
        """Whether it is a master."""
        role: Any = self.client.role()
        return bool(role[0] == b"master")

    def owns(self, slot: int) -> bool:
        """Tell whether it takes itself for the master of a slot."""
        return any(
            first <= slot <= last and port == self.port
            for first, last, (_, port, *_), *_ in self.ask("CLUSTER", "SLOTS")
        )

    @property
    def is_in_step(self) -> bool:
        """Whether it is a replica that has all that its master had."""
        try:
            told: Any = self.client.info("replication")
        except redis.RedisError:
            return False
        return bool(told["role"] == "slave" and told["master_link_status"] == "up")

    def cut_off(self) -> None:
        """Let this replica find no way to its master: it is refused there."""
        self.client.config_set("masteruser", "nobody")
        self.client.config_set("masterauth", "nothing")
        self.client.client_kill_filter(_type="master")

    def let_in(self) -> None:
        """Let it follow masters again."""
        self.client.config_set("masteruser", "")
        self.client.config_set("masterauth", "")

    def knows(self, nodes: int) -> bool:
        """Tell whether it sees all slots served, by so many nodes and their replicas."""
        told = dict(line.split(b":") for line in self.ask("CLUSTER", "INFO").splitlines())
        state, known = told[b"cluster_state"], told[b"cluster_known_nodes"]
        return bool(state == b"ok" and int(known) == nodes)

    def _start(self) -> "subprocess.Popen[bytes]":
        process = processes.start(self._command, self._log)
        processes.wait_until(self.answers, process, "A node", self._log)
        return process
