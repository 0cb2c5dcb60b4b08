"""The watchdog's rule about routes of notifications."""

from typing import Any

import msgspec
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.producer.reading.model_state import ModelState
from driftgauge.producer.reading.notifications import NotificationRoute
from driftgauge.producer.watching.blind import judge
from driftgauge.producer.watching.incidents import incident_of
from driftgauge.producer.watching.notification import STUCK_MS
from driftgauge.producer.watching.observation import Memory, Observation
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.fault import StageFault
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import (
    STATUS,
    RouteFailure,
    RouteStatus,
    route_told_of,
)
from driftgauge.shared.settings import Settings
from tests.producer.conftest import serving, until
from tests.producer.pipeline import Written

START = 1_800_000_000_000
GOOD = NotificationRoute("on-call")


def refused(*models: str, many: int = 1) -> NotificationRoute:
    failure = RouteFailure(START, START, "status 400", 1, many, models)
    return NotificationRoute("on-call", refused=many, failure=failure)


def failing(*models: str, since: int = START) -> NotificationRoute:
    failure = RouteFailure(since, since, "status 503", 3, 0, models)
    return NotificationRoute("on-call", retried=3, waiting=2, failure=failure)


class Watch:
    """A watchdog's looks at the routes, of one model."""

    def __init__(self, model: str = "m", *, is_first: bool = True) -> None:
        self.memory = Memory()
        self.model, self.is_first = model, is_first

    def look(self, *routes: NotificationRoute, at: int = START) -> list[Alert]:
        state = ModelState(self.model, at, (), True, {})
        observed = Observation(state, [], Settings(), routes=list(routes), is_first=self.is_first)
        found = judge(self.memory, observed)
        self.memory = msgspec.json.decode(msgspec.json.encode(self.memory), type=Memory)
        return found

    def states(self, *routes: NotificationRoute, at: int = START) -> list[str]:
        return [f"{one.segment} {one.state}" for one in self.look(*routes, at=at)]


def test_a_refused_message_is_told_by_the_other_routes() -> None:
    """Its incident names the route that failed, which so is not told itself; it is over when the
    target takes a message.
    """
    watch = Watch()
    (alert,) = watch.look(refused("m"))
    assert (alert.rule, alert.severity) == ("blind.notification", "critical")
    assert "its target refused 1 message (status 400)" in alert.summary
    incident = incident_of(alert)
    assert incident is not None
    assert route_told_of(incident) == "on-call"
    assert "driftgauge notify test" in incident.advice
    assert watch.states(refused("m", many=2)) == []
    (end,) = watch.look(GOOD)
    over = incident_of(end)
    assert over is not None
    assert (over.id, over.change, route_told_of(over)) == (incident.id, "resolved", "on-call")


def test_a_target_may_be_away_for_a_while() -> None:
    """Attempts that fail are told after ten minutes, and not before."""
    watch = Watch()
    assert watch.states(failing("m"), at=START + STUCK_MS) == []
    assert watch.states(failing("m"), at=START + STUCK_MS + 1) == ["route=on-call firing"]
    assert watch.states(failing("m", since=START + STUCK_MS), at=START + STUCK_MS + 2) == []
    assert watch.states(GOOD) == ["route=on-call resolved"]


def test_only_the_models_that_were_not_told_of_are_concerned() -> None:
    """Another model has no incident of it, and one that fell off the list keeps its own."""
    watch, other = Watch("m", is_first=False), Watch("other")
    assert watch.states(refused("m")) == ["route=on-call firing"]
    assert other.states(refused("m")) == []
    assert watch.states(refused("x", "y")) == []
    assert watch.states(GOOD) == ["route=on-call resolved"]


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (
            NotificationRoute(
                "on-call", fault=StageFault("notifying on-call", "no HOOK", "", 3, 0, START)
            ),
            "is not served: no HOOK",
        ),
        (NotificationRoute("on-call", overdue=START - STUCK_MS - 1), "has waited for 10 minutes"),
    ],
)
def test_a_route_that_nobody_serves_is_told_once(route: NotificationRoute, words: str) -> None:
    """Where it is not known of which models people were not told, the first model tells of it."""
    first, second = Watch("a"), Watch("b", is_first=False)
    (alert,) = first.look(route)
    assert words in alert.summary
    assert second.look(route) == []
    assert first.states(GOOD) == ["route=on-call resolved"]


def test_a_route_that_is_gone_is_over() -> None:
    """A removed route is no fault any more."""
    watch = Watch()
    watch.look(refused("m"))
    (alert,) = watch.look()
    assert (alert.state, alert.summary) == ("resolved", "The route on-call is gone.")


def test_each_route_has_an_alert_of_its_own() -> None:
    """Two routes that fail are two incidents, so that each is told by the other."""
    watch = Watch()
    other = msgspec.structs.replace(refused("m"), name="mail")
    found = watch.look(refused("m"), other)
    assert sorted(one.segment for one in found) == ["route=mail", "route=on-call"]
    assert len({one.fingerprint for one in found}) == 2
    assert watch.states(GOOD, other) == ["route=on-call resolved"]


@given(st.lists(st.sampled_from(["good", "refused", "failing", "gone"]), max_size=12))
def test_an_alert_begins_and_ends_in_turns(steps: list[str]) -> None:
    """Whatever a route does, its transitions alternate, and only a refusal or a long failure
    begins one.
    """
    watch, at = Watch(), START
    shapes: dict[str, tuple[NotificationRoute, ...]] = {
        "good": (GOOD,),
        "refused": (refused("m"),),
        "failing": (failing("m"),),
        "gone": (),
    }
    states = []
    for step in steps:
        at += STUCK_MS // 3
        states += [one.state for one in watch.look(*shapes[step], at=at)]
    assert states == ["firing", "resolved"] * (len(states) // 2) + ["firing"] * (len(states) % 2)


@pytest.mark.anyio
@pytest.mark.usefixtures("linear")
async def test_a_failing_route_is_seen_in_redis(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """The watchdog of an API reads what the worker wrote of the route, opens the incident in the
    model's stream, shows the alert on its page, and closes it; junk beside it hides nothing.
    """
    changed = settings.model_copy(update={"watchdog_seconds": 0.05})
    written = Written(client, keys)
    status = RouteStatus(refused=1, failure=RouteFailure(1, 2, "status 400", 1, 1, ("linear",)))
    junk: Any = {b"status": b"{", b"about": b"[]"}
    client.sadd(keys.routes, "on-call", "junk", "No route")
    client.hset(keys.route("junk"), mapping=junk)
    client.hset(keys.route("on-call"), STATUS.decode(), msgspec.json.encode(status))  # type: ignore[arg-type]
    async with serving(changed) as http:
        published = client.hvals
        await until(lambda: published(keys.open_incidents("linear")))
        assert "blind.notification firing" in written.transitions()
        page = (await http.get("/dashboard/alerts", headers={"Accept": "text/html"})).text
        assert "The route on-call does not tell people" in page
        good = msgspec.json.encode(RouteStatus(sent=1, refused=1))
        client.hset(keys.route("on-call"), STATUS.decode(), good)  # type: ignore[arg-type]
        await until(lambda: "blind.notification resolved" in written.transitions())
        await until(lambda: not published(keys.open_incidents("linear")))
