"""Notifications: real workers, a real Redis, a sink on this machine."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.producer.watching.incidents import incident_of
from driftgauge.shared.connections.incidents import queue_incident
from driftgauge.shared.contract.alert import Alert, AlertEvidence
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import STATUS, RouteStatus
from tests.consumer.notifying.builders import transition
from tests.consumer.notifying.sink import Reply, Sink, http_sink
from tests.integration.plant import (
    MODEL,
    end,
    publish,
    settings_of,
    wait_for,
    worker_process,
    worker_thread,
)

LONG_MS = 5000
"""A lease that is not lost on a slow machine: whoever loses one sends again."""
ROUTE = """
[[routes]]
name = "{name}"
target = {{ type = "webhook", url = "{url}/{name}" }}
"""


@pytest.fixture(scope="module")
def served() -> Iterator[Sink]:
    with http_sink() as found:
        yield found


@pytest.fixture
def sink(served: Sink) -> Sink:
    served.clear()
    return served


def notified(
    url: str, keys: Keys, folder: Path, sink: Sink, *names: str, **more: Any
) -> dict[str, Any]:
    """Return the settings of a worker with a route of each name to the sink."""
    path = folder / "policy.toml"
    path.write_text("".join(ROUTE.format(name=name, url=sink.address) for name in names))
    return settings_of(url, keys, policy_file=str(path), **more)


def tell(client: redis.Redis, keys: Keys, *events: bytes, model: str = MODEL) -> None:
    for event in events:
        client.xadd(keys.incidents(model), {"e": event})


def status(client: redis.Redis, keys: Keys, name: str) -> RouteStatus:
    packed: Any = client.hget(keys.route(name), STATUS)
    return msgspec.json.decode(packed, type=RouteStatus) if packed else RouteStatus()


def test_incidents_of_all_models_are_told_once(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, sink: Sink
) -> None:
    """Two workers with two routes: each incident comes once to each route, with its transitions in
    order, of a model that was there and of one that comes later.
    """
    publish(client, keys)
    tell(client, keys, transition("a", 1))
    settings = notified(redis_url, keys, tmp_path, sink, "one", "two", lease_ms=LONG_MS)
    with worker_thread(settings), worker_thread(settings):
        wait_for(lambda: len(sink.received) >= 2, "what stood before")
        publish(client, keys, "second")
        tell(client, keys, transition("b", 1, model="second"), model="second")
        wait_for(lambda: sink.keys.count("b-1") == 2, "the other model's")
        tell(client, keys, transition("a", 2, "evidence"), transition("a", 3, "resolved"))
        wait_for(lambda: sink.keys.count("a-3") == 2, "the end")
        wait_for(lambda: status(client, keys, "one").sent == 3, "the commit")
    for name in ("one", "two"):
        found = [one.key for one in sink.received if one.path == f"/{name}"]
        assert found == ["a-1", "b-1", "a-3"]


def test_kill_between_sending_and_commit_sends_the_same_key_again(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, sink: Sink
) -> None:
    """The worker dies while the target holds its answer back: the next one sends the same message
    under the same key, then what came after it, and nothing else.
    """
    publish(client, keys)
    tell(client, keys, transition("a", 1))
    settings = notified(redis_url, keys, tmp_path, sink, "one")
    doomed = worker_process(settings, tmp_path / "worker.log")

    def held(_: object) -> Reply:
        doomed.wait(60)
        return Reply()

    sink.answering = held
    try:
        wait_for(lambda: sink.received, "the first attempt")
        tell(client, keys, transition("a", 2, "severity"), transition("b", 1))
        wait_for(lambda: status(client, keys, "one").waiting == 2, "the stage to have read on")
    finally:
        end(doomed, signal.SIGKILL)
    with worker_thread(settings):
        wait_for(lambda: status(client, keys, "one").sent == 3, "all")
    assert sink.keys[:2] == ["a-1", "a-1"]
    assert sorted(sink.keys[2:]) == ["a-2", "b-1"]
    assert sink.received[0].body == sink.received[1].body


def test_a_refused_message_is_a_dead_letter_and_others_go_on(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, sink: Sink
) -> None:
    """What the target refuses stands among the dead letters with the reason, what it takes later is
    sent again, and the other route does not notice.
    """
    publish(client, keys)
    tried: list[str] = []

    def answer(found: Any) -> Reply:
        if found.path == "/good":
            return Reply()
        tried.append(found.key)
        if found.key == "bad-1":
            return Reply(400)
        return Reply(503 if tried.count(found.key) < 2 else 204, b"")

    sink.answering = answer
    tell(client, keys, transition("bad", 1), transition("late", 1))
    with worker_thread(notified(redis_url, keys, tmp_path, sink, "one", "good")):
        wait_for(lambda: status(client, keys, "one").sent == 1, "the second attempt")
        wait_for(lambda: status(client, keys, "good").sent == 2, "the other route")
    letters: Any = client.xrange(keys.route_dead("one"))
    ((_, letter),) = letters
    assert (letter[b"key"], letter[b"reason"]) == (b"bad-1", b"status 400")
    assert letter[b"e"] == transition("bad", 1)
    found = status(client, keys, "one")
    assert (found.sent, found.refused, found.retried, found.waiting) == (1, 1, 1, 0)
    assert status(client, keys, "good").refused == 0


def test_a_slow_target_holds_up_nothing(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, sink: Sink
) -> None:
    """While a target does not answer, the stage renews its lease and reads on, and the other route
    is served; then the message was sent once.
    """
    publish(client, keys)
    answered = threading.Event()

    def held(found: Any) -> Reply:
        if found.path == "/slow":
            answered.wait(60)
        return Reply()

    sink.answering = held
    tell(client, keys, transition("a", 1))
    settings = notified(redis_url, keys, tmp_path, sink, "slow", "quick", lease_ms=LONG_MS // 2)
    with worker_thread(settings):
        wait_for(lambda: "/slow" in {one.path for one in sink.received}, "the slow one")
        owner = wait_for(lambda: client.get(keys.route_owner("slow")), "the lease")
        tell(client, keys, transition("b", 1))
        wait_for(lambda: status(client, keys, "quick").sent == 2, "the other route")
        wait_for(lambda: status(client, keys, "slow").waiting == 2, "the stage to have read on")
        for _ in range(3):
            renewed(client, keys.route_owner("slow"))
        answered.set()
        wait_for(lambda: status(client, keys, "slow").sent == 2, "both")
        assert client.get(keys.route_owner("slow")) == owner
    assert sorted(one.key for one in sink.received if one.path == "/slow") == ["a-1", "b-1"]


def renewed(client: redis.Redis, lease: str) -> None:
    """Wait until a lease was renewed: it lasts longer than a moment ago."""
    left: list[int] = []

    def longer() -> bool:
        left.append(int(client.pttl(lease)))
        return len(left) > 1 and left[-1] > left[-2]

    wait_for(longer, "a renewal")


def test_what_the_watchdog_finds_is_told(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, sink: Sink
) -> None:
    """Its incidents are in the same streams, without a log behind them."""
    publish(client, keys)
    with worker_thread(notified(redis_url, keys, tmp_path, sink, "one")):
        for state in ("firing", "resolved"):
            incident = incident_of(monitor_alert(state))
            assert incident is not None
            with client.pipeline() as pipe:
                queue_incident(pipe, keys, incident)
                pipe.execute()
            wait_for(lambda: status(client, keys, "one").sent == incident.number, state)  # noqa: B023
    data = [msgspec.json.decode(one.body)["data"] for one in sink.received]
    assert [(one["state"], one["cause"]["rule"]) for one in data] == [
        ("open", "blind.no_worker"),
        ("resolved", "blind.no_worker"),
    ]


def monitor_alert(state: Any) -> Alert:
    """Return an alert of the watchdog."""
    evidence = AlertEvidence("waiting", 5.0, None, None, 0, 0, 0, 0, 0)
    return Alert(
        fingerprint="0123456789abcdef",
        model=MODEL,
        version="1.0.0",
        feature="",
        rule="blind.no_worker",
        severity="critical",
        state=state,
        summary="No worker reads the log.",
        evidence=evidence,
        started=1000,
        updated=1000,
        ended=2000 if state == "resolved" else None,
        snapshot="",
    )
