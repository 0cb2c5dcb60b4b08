"""The commands about routes: a test that says that it is one, and a list without secrets."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from click.testing import CliRunner, Result

from driftgauge.consumer.commands.routes.notify import notify
from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.wording import about
from driftgauge.shared.contract.fault import FIELD, StageFault
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import (
    ABOUT,
    STATUS,
    RouteFailure,
    RouteStatus,
)
from driftgauge.shared.errors import BadData, ConfigurationError, ServiceUnavailable
from tests.consumer.notifying.builders import route
from tests.consumer.notifying.sink import Reply, Sink, http_sink

POLICY = """
[[routes]]
name = "hook"
match = {{ models = ["steel*"], severity = "critical" }}
target = {{ type = "webhook", url = "{0}/T0/geheim" }}
[[routes]]
name = "alerts"
target = {{ type = "alertmanager", url = "{0}" }}
[[routes]]
name = "secret"
target = {{ type = "webhook", url_env = "NOT_THERE" }}
"""


@pytest.fixture(scope="module")
def served() -> Iterator[Sink]:
    with http_sink() as found:
        yield found


@pytest.fixture
def sink(
    served: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str, keys: Keys
) -> Sink:
    served.clear()
    path = tmp_path / "policy.toml"
    path.write_text(POLICY.format(served.address))
    monkeypatch.setenv("DRIFTGAUGE_POLICY_FILE", str(path))
    monkeypatch.setenv("DRIFTGAUGE_REDIS_URL", redis_url)
    monkeypatch.setenv("DRIFTGAUGE_KEY_PREFIX", keys.prefix)
    monkeypatch.setenv("DRIFTGAUGE_PUBLIC_URL", "https://monitor.example/dg/")
    return served


def run(*arguments: str) -> Result:
    return CliRunner().invoke(notify, arguments, catch_exceptions=False)


def test_a_test_comes_and_says_that_it_is_one(sink: Sink) -> None:
    """Its event has a type of its own; where an alert would stay, its end follows."""
    assert run("test", "hook").output == "Sent a test by hook.\n"
    assert run("test", "alerts").output == "Sent a test and its end by alerts.\n"
    assert json.loads(run("test", "hook", "--json").output) == {"route": "hook", "messages": 1}
    hook, *alerts, _ = (json.loads(one.body) for one in sink.received)
    assert hook["type"] == "driftgauge.notification.test"
    assert hook["data"]["headline"].startswith("Test of the route hook by ")
    assert [one[0]["labels"]["alertname"] for one in alerts] == ["DriftgaugeTest"] * 2
    assert alerts[0][0]["labels"] == alerts[1][0]["labels"]
    assert alerts[1][0]["endsAt"] < alerts[0][0]["endsAt"]
    assert alerts[0][0]["generatorURL"] == "https://monitor.example/dg/dashboard/incidents"


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [(401, BadData, "refuses the test: status 401"), (503, ServiceUnavailable, "status 503")],
)
def test_a_test_that_fails_says_why(
    sink: Sink, status: int, error: type[Exception], words: str
) -> None:
    """In a line, with an exit code, and without the address."""
    sink.answering = lambda _: Reply(status)
    with pytest.raises(error, match=words) as raised:
        run("test", "hook")
    assert "geheim" not in str(raised.value)


def test_a_test_of_what_is_not_there(sink: Sink) -> None:
    """An unknown route names the known ones; a missing secret where it was looked for."""
    with pytest.raises(BadData, match="there are: alerts, hook, secret"):
        run("test", "other")
    with pytest.raises(ConfigurationError, match="environment variable NOT_THERE"):
        run("test", "secret")
    assert sink.received == []


def store(client: redis.Redis, keys: Keys, found: Route, *more: tuple[bytes, Any]) -> None:
    client.sadd(keys.routes, found.name)
    for field, value in ((ABOUT, about(found, 5)), *more):
        client.hset(keys.route(found.name), mapping={field: msgspec.json.encode(value)})


def test_the_list_tells_what_each_does_and_no_secret(
    sink: Sink, client: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the file, with what the worker tells of them, and those that another file has."""
    monkeypatch.setenv("COLUMNS", "300")
    failure = RouteFailure(0, 0, "status 503", 3)
    store(client, keys, route("hook"), (STATUS, RouteStatus(7, 1, 2, 3, 4, 5, failure)))
    stopped = StageFault("notifying alerts", "NotInstalled: apprise")
    store(client, keys, route("alerts"), (STATUS, RouteStatus()), (FIELD, stopped))
    store(client, keys, route("elsewhere"), (STATUS, RouteStatus(1)))
    client.sadd(keys.routes, "torn")
    client.hset(keys.route("torn"), "about", "junk")
    shown = run("list").output
    assert "geheim" not in shown
    lines = {line.split()[0]: line for line in shown.splitlines()[1:]}
    assert list(lines) == ["alerts", "elsewhere", "hook", "secret"]
    assert "the worker fails: NotInstalled: apprise" in lines["alerts"]
    assert "not in the policy file here" in lines["elsewhere"]
    assert "critical incidents of model steel*" in lines["hook"]
    assert "fails since 1970-01-01 00:00:00 UTC: status 503" in lines["hook"]
    assert "no worker has it" in lines["secret"]
    documents = [json.loads(line) for line in run("list", "--json").output.splitlines()]
    hook = documents[2]
    assert (hook["status"]["sent"], hook["status"]["waiting"]) == (7, 3)
    assert hook["status"]["last_sent"] == "1970-01-01T00:00:00.005Z"
    assert hook["host"] == sink.address.removeprefix("http://")


def test_without_routes_the_list_says_so(
    sink: Sink,  # noqa: ARG001  the environment
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is told of incidents then."""
    monkeypatch.delenv("DRIFTGAUGE_POLICY_FILE")
    assert "nobody is told" in run("list").output
