"""A Redis Cluster on this machine, whose nodes can be killed, replaced and given other slots."""

import math
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import redis

from benchmarks.chaos.stores.node import HOST, Node
from benchmarks.chaos.stores.reading import Reader
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import SLOTS
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import find_server

FIRST_PORT: Final = 17_300
BUS: Final = 10_000
"""How far the port on which nodes talk to each other is above that of their clients."""
NODE_TIMEOUT_MS: Final = 2500
PATIENCE_S: Final = 60.0
GIVEN_UP_S: Final = 6.0
"""Time (s) after which a node has given up a planned failover: Redis does after five."""
LEAST_MAJOR: Final = 7


def unusable() -> str:
    """Say why no cluster can be made here; empty if one can."""
    try:
        server = find_server()
    except DriftgaugeError as error:
        return str(error)
    told = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    major = int(told.partition("v=")[2].partition(".")[0] or 0)
    return "" if major >= LEAST_MAJOR else f"{server} is too old ({told.strip()})"


class Cluster:
    """Masters with a replica each, which share the slots evenly.

    Parameters
    ----------
    folder
        Folder of the nodes' files.
    replicas
        Whether each master has a replica.
    options
        Further options of every server.
    """

    def __init__(
        self, folder: Path, masters: int = 3, *, replicas: bool = True, options: Sequence[str] = ()
    ) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._masters = masters
        self._replicas = masters if replicas else 0
        self._options = [
            *("--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
            *("--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"),
            *options,
        ]
        self._stack = ExitStack()
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Its address, by two of its nodes."""
        return f"redis+cluster://{HOST}:{self.nodes[0].port},{HOST}:{self.nodes[-1].port}"

    @property
    def runs(self) -> bool:
        """Whether there is a cluster: single nodes may be dead."""
        return bool(self.nodes)

    def client(self) -> redis.Redis:
        """Make a client that reads any key."""
        return Reader(next(node.url for node in self.nodes if node.answers()))

    def servers(self) -> list[redis.Redis]:
        """Make a client of each node that takes writes."""
        return [connect(node.url) for node in self.masters]

    @property
    def masters(self) -> list[Node]:
        """Nodes that answer and are masters."""
        return [node for node in self.nodes if node.answers() and node.leads]

    def owner(self, slot: int) -> Node:
        """Return the master that has a slot, as it says itself: others hear of it later."""

        def found() -> Node | None:
            return next((node for node in self.masters if node.owns(slot)), None)

        owner: Node = wait_for(found, "the owner of a slot")
        return owner

    def at(self, port: int) -> Node:
        """Return the node with a port."""
        return next(node for node in self.nodes if node.port == port)

    def replica(self, master: Node) -> Node:
        """Return the replica of a master, once it is in step with it."""
        name = master.id

        def found() -> Node | None:
            for line in master.ask("CLUSTER", "REPLICAS", name):
                node = self.at(int(line.split()[1].partition(b"@")[0].rpartition(b":")[2]))
                if node.is_in_step:
                    return node
            return None

        node: Node = wait_for(found, "the replica")
        return node

    def fail_over(self, master: Node) -> Node:
        """Let the replica of a master take over as planned (CLUSTER FAILOVER); return it. Redis
        gives one up that takes too long, as where the others do not vote, so it is asked again.
        """
        replica, asked_at = self.replica(master), -math.inf

        def done() -> bool:
            nonlocal asked_at
            if not replica.leads and time.monotonic() - asked_at > GIVEN_UP_S:
                replica.ask("CLUSTER", "FAILOVER")
                asked_at = time.monotonic()
            return replica.leads and not master.leads

        wait_for(done, "the failover")
        return replica

    def migrate(self, slot: int, target: Node, pause_s: float = 0.0) -> None:
        """Move a slot to another master, key by key, with a pause after each."""
        for _ in self.moving(slot, target):
            time.sleep(pause_s)

    def moving(self, slot: int, target: Node) -> Iterator[None]:
        """Move a slot to another master, a key at each step."""
        source = self.owner(slot)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1):
            source.ask("MIGRATE", HOST, target.port, keys[0], 0, 5000)
            yield
        for node in (target, source, *(one for one in self.masters if one is not source)):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def heal(self) -> None:
        """Start nodes that were killed, and wait until the cluster is whole."""
        self.revive()
        self.settle()

    def revive(self) -> None:
        """Start nodes that were killed; in the main thread, for they end with the thread that
        started them.
        """
        for node in self.nodes:
            if node.process.poll() is not None:
                node.start()

    def is_whole(self) -> bool:
        """Return whether all nodes agree, and every master has a replica that is in step."""
        with suppress(redis.RedisError):  # one began to load what its master sent it
            return all(
                node.answers() and node.knows(len(self.nodes)) and (node.leads or node.is_in_step)
                for node in self.nodes
            )
        return False

    def settle(self) -> None:
        """Wait until all nodes agree that all slots are served, and every master has a replica."""
        self._agree()
        if self._replicas:
            for node in self.masters:
                if node.ask("CLUSTER", "REPLICAS", node.id):
                    self.replica(node)

    def _start(self) -> None:
        for place, port in enumerate(self._ports(self._masters + self._replicas)):
            node = Node(self._folder / f"node{place}", port, self._options)
            self._stack.callback(node.stop)
            self.nodes.append(node)
        first, share = self.nodes[0], SLOTS // self._masters
        for place, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
            if place < self._masters:
                last = SLOTS - 1 if place == self._masters - 1 else (place + 1) * share - 1
                node.ask("CLUSTER", "ADDSLOTSRANGE", place * share, last)
            first.ask("CLUSTER", "MEET", HOST, node.port)
        self._agree()
        for master, replica in zip(
            self.nodes, self.nodes[self._masters :], strict=False
        ):  # without replicas there are none
            replica.ask("CLUSTER", "REPLICATE", master.id)
        if self._replicas:
            for node in self.nodes[: self._masters]:
                self.replica(node)

    def _agree(self) -> None:
        """Wait until every node sees all slots served, and all nodes."""
        for node in self.nodes:
            wait_for(partial(node.knows, len(self.nodes)), "the cluster")

    def _ports(self, wanted: int) -> list[int]:
        """Reserve ports whose bus port is free, too."""
        found: list[int] = []
        while len(found) < wanted:
            after = found[-1] + 1 if found else FIRST_PORT
            port = self._stack.enter_context(processes.reserved_port(after, HOST))
            with socket.socket() as bus:
                try:
                    bus.bind((HOST, port + BUS))
                except OSError:
                    continue
            found.append(port)
        return found


def wait_for(true: Callable[[], Any], what: str) -> Any:
    """Poll until something is true, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.02)
    return found
