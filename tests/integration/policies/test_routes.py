"""Routes of notifications that change while workers run."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from driftgauge.consumer.policies import agreement, file
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.policies.agreed import refused_in
from tests.consumer.notifying.builders import transition
from tests.consumer.notifying.sink import Sink, http_sink
from tests.integration.plant import MODEL, publish, settings_of, wait_for, worker_thread

TARGET = 'target = {{ type = "webhook", url_env = "{variable}" }}'


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers look again at what they look at now and then."""
    monkeypatch.setattr(file, "AGAIN_S", 0.5)
    monkeypatch.setattr(agreement, "TELL_S", 0.5)


@pytest.fixture(scope="module")
def served() -> Iterator[Sink]:
    with http_sink() as found:
        yield found


@pytest.fixture
def sink(served: Sink) -> Sink:
    served.clear()
    return served


def route(name: str, sink: Sink, path: str = "") -> str:
    url = f"{sink.address}/{path or name}"
    return f'[[routes]]\nname = "{name}"\ntarget = {{ type = "webhook", url = "{url}" }}\n'


def tell(client: redis.Redis, keys: Keys, name: str) -> None:
    client.xadd(keys.incidents(MODEL), {"e": transition(name, 1)})


def told(sink: Sink) -> set[tuple[str, str]]:
    return {(one.path, one.key) for one in list(sink.received)}


def write(path: Path, text: str) -> None:
    other = path.with_suffix(".new")
    other.write_text(text)
    other.replace(path)


def test_routes_are_added_changed_and_removed_without_a_restart(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, sink: Sink
) -> None:
    """Each incident goes by the routes that stand in the file by then; what is removed is told
    nothing more, and its name is forgotten.
    """
    path = tmp_path / "policy.toml"
    path.write_text(route("one", sink))
    publish(client, keys)
    with worker_thread(settings_of(redis_url, keys, policy_file=str(path))):
        tell(client, keys, "a")
        wait_for(lambda: ("/one", "a-1") in told(sink), "the first route")
        write(path, route("one", sink, "moved") + route("two", sink))
        wait_for(lambda: ("/two", "a-1") in told(sink), "the route that was added")
        tell(client, keys, "b")
        wait_for(lambda: {("/moved", "b-1"), ("/two", "b-1")} <= told(sink), "both routes")
        write(path, route("two", sink))
        wait_for(lambda: client.smembers(keys.routes) == {b"two"}, "the route to be forgotten")
        tell(client, keys, "c")
        wait_for(lambda: ("/two", "c-1") in told(sink), "the route that is left")
        write(path, route("two", sink) + route("one", sink))
        wait_for(lambda: ("/one", "c-1") in told(sink), "the route that is back")
    assert not {("/one", "b-1"), ("/moved", "c-1"), ("/moved", "a-1")} & told(sink)


def test_a_missing_secret_refuses_the_file_by_its_line(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    tmp_path: Path,
    sink: Sink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old routes go on, and Redis has route and line, and no secret; when the secret comes the
    file is taken up, although it did not change.
    """
    variable = f"HOOK_{os.getpid()}"
    path = tmp_path / "policy.toml"
    path.write_text(route("one", sink))
    publish(client, keys)

    def refused() -> list[str]:
        fields: Any = client.hgetall(keys.policy_files)
        return refused_in(fields, server_ms(client))

    with worker_thread(settings_of(redis_url, keys, policy_file=str(path))) as worker:
        wait_for(lambda: client.smembers(keys.routes) == {b"one"}, "the route")
        more = f'[[routes]]\nname = "two"\n{TARGET.format(variable=variable)}\n'
        write(path, route("one", sink) + more)
        (words,) = wait_for(refused, "the refusal")
        assert f"line 6: the route 'two' names the environment variable {variable}" in words
        assert worker.standing().failing[-1:] == [words]
        tell(client, keys, "a")
        wait_for(lambda: ("/one", "a-1") in told(sink), "the old route")
        monkeypatch.setenv(variable, f"{sink.address}/two")
        wait_for(lambda: ("/two", "a-1") in told(sink), "the new route")
        wait_for(lambda: not refused(), "the end of the refusal")
        assert worker.standing().policy == ""


def test_an_older_file_serves_no_route_while_the_newest_is_served(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, sink: Sink
) -> None:
    """Of two hosts the one with the older file leaves a route of the same name to the other, and
    serves it by its own words only when no other worker is left.
    """
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(route("one", sink, "old"))
    os.utime(old, (1_700_000_000, 1_700_000_000))
    new.write_text(route("one", sink, "new"))
    publish(client, keys)
    with worker_thread(settings_of(redis_url, keys, policy_file=str(new))) as second:
        wait_for(lambda: client.hlen(keys.policy_files) == 1, "the newest file")
        with worker_thread(settings_of(redis_url, keys, policy_file=str(old))):
            wait_for(lambda: client.hlen(keys.policy_files) == 2, "the older file")
            tell(client, keys, "a")
            wait_for(lambda: ("/new", "a-1") in told(sink), "the route by the newest file")
            assert ("/old", "a-1") not in told(sink)
            second.stop.set()
            wait_for(lambda: client.hlen(keys.policy_files) == 1, "the end of the other worker")
            tell(client, keys, "b")
            wait_for(lambda: ("/old", "b-1") in told(sink), "the route by what is left")
