"""A route that does not get through is told by the others."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.watching.watchdog import Watchdog
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.consumer.notifying.builders import transition
from tests.consumer.notifying.sink import Reply, Sink, http_sink
from tests.integration.plant import MODEL, publish, settings_of, wait_for, worker_thread

ROUTES = """
[[routes]]
name = "bad"
target = {{ type = "webhook", url = "{url}/bad" }}
[[routes]]
name = "good"
target = {{ type = "webhook", url = "{url}/good" }}
"""


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with http_sink() as found:
        yield found


def look(settings: dict[str, Any]) -> None:
    """Let the watchdog of an API look once."""

    async def looked() -> None:
        watchdog = Watchdog(Settings(**settings), Counter(), Refusals(), set())
        try:
            await watchdog.check()
        finally:
            await watchdog.close()

    asyncio.run(looked())


def about_the_route(sink: Sink) -> list[tuple[str, str]]:
    """Return path and change of the messages that tell of a route."""
    found = []
    for one in list(sink.received):
        data = msgspec.json.decode(one.body)["data"]
        if data["cause"].get("rule") == "blind.notification":
            found.append((one.path, data["change"]))
    return found


def test_a_refused_message_is_told_by_the_other_route_until_it_works(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, sink: Sink
) -> None:
    """What one target refuses opens an incident that the other one gets, and the failing one does
    not; when it takes a message again, the other one gets the end.
    """
    path = tmp_path / "policy.toml"
    path.write_text(ROUTES.format(url=sink.address))
    settings = settings_of(redis_url, keys, policy_file=str(path), watchdog_seconds=0.05)
    publish(client, keys)

    def answer(found: Any) -> Reply:
        return Reply(400) if found.path == "/bad" and found.key == "a-1" else Reply()

    sink.answering = answer

    def watched(wanted: list[tuple[str, str]]) -> bool:
        look(settings)
        return about_the_route(sink) == wanted

    with worker_thread(settings):
        client.xadd(keys.incidents(MODEL), {"e": transition("a", 1)})
        wait_for(lambda: watched([("/good", "opened")]), "the incident", pause_s=0.2)
        client.xadd(keys.incidents(MODEL), {"e": transition("b", 1)})
        both = [("/good", "opened"), ("/good", "resolved")]
        wait_for(lambda: watched(both), "its end", pause_s=0.2)
    assert client.xlen(keys.route_dead("bad")) == 1
    assert about_the_route(sink) == both
