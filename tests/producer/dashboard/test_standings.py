"""The overview: a row for each model, from what stands in Redis in brief."""

import itertools
import re
import time
from typing import Any

import httpx
import msgspec
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.dashboard import standings
from driftgauge.producer.dashboard.views.standings import KEYS, PAGE
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.refused import Refused, Slice
from driftgauge.shared.contract.snapshot_parts import Brief, MetricBrief
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running, serving, until
from tests.producer.dashboard.snapshots import incident
from tests.producer.dashboard.test_pages import BROWSER, Elements, check
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000


class Fleet:
    """Writes what judging, the watchdog and the API processes write of many models."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client, self.keys = client, keys

    def model(self, name: str, severity: Any = "ok", metric: MetricBrief | None = None) -> None:
        brief = Brief(name, "1.0.0", 5, severity, f"Verdict of {name}.", 2000, {}, metric)
        self.client.sadd(self.keys.models, name)
        self.client.hset(self.keys.brief(name), "1.0.0", msgspec.json.encode(brief))

    def open(self, one: Incident) -> None:
        self.client.hset(self.keys.open_incidents(one.model), one.id, cloud_event(one))

    def took(self, name: str, events: int) -> None:
        told = Refused(int(time.time() * 1000), [Slice(0, events, 0)], [], None, events)
        self.client.hset(self.keys.refused(name), "p", msgspec.json.encode(told))


async def read(http: httpx.AsyncClient, query: str = "", **headers: str) -> str:
    answer = await http.get(f"/{query}", headers={**BROWSER, **headers})
    assert answer.status_code == 200, answer.text
    check(answer.text)
    return answer.text


def models(text: str) -> list[str]:
    return [one["data-model"] or "" for one in Elements(text).of("tr") if "data-model" in one]


@pytest.fixture
def fleet(client: redis.Redis, keys: Keys) -> Fleet:
    """Four models: calm with a metric, one with two incidents, one that warns, one not judged."""
    made = Fleet(client, keys)
    values: list[float | None] = [1.1, 1.2, 4.9]
    metric = MetricBrief("mae", 4.9, 1.1, -3.45, "critical", times=[1, 2, 3], values=values)
    made.model("calm", "ok", MetricBrief("accuracy", 0.9, 0.9, 0.0))
    made.model("broken", "warning", metric)
    made.model("uneasy", "warning")
    client.sadd(keys.models, "new")
    made.open(incident("broken", 7))
    made.open(incident("broken", 9, "warning"))
    made.took("calm", 1234)
    made.took("broken", 20)
    return made


@pytest.mark.usefixtures("fleet", "linear")
async def test_each_model_is_a_row(settings: Settings) -> None:
    """The worst first: status, headline of the worst open incident and since when, metric with its
    line, events, incidents, version; without a script or a chart's library.
    """
    async with running(create_app(settings)) as http:
        text = await read(http)
    assert models(text) == ["broken", "uneasy", "calm", "linear", "new"]
    row = text[text.index('data-model="broken"') : text.index('data-model="uneasy"')]
    assert "badge critical" in row, "the incident is worse than the window"
    assert "x of broken is too high" in row
    assert f'href="/dashboard/incidents/{7:016x}"' in row
    assert '<time data-ms="7"' in row
    assert "MAE" in row
    assert '<data value="4.9">4.9</data>' in row
    assert 'class="spark"' in row
    assert '<circle class="critical"' in row
    assert '<data value="20">20</data>' in row
    assert re.search(r'href="/dashboard/incidents\?model=broken">2</a>', row)
    assert 'href="/dashboard/models/broken"' in row
    assert "Verdict of calm." in text
    assert '<data value="1234">1,234</data>' in text
    assert "Nothing was judged yet." in text[text.index('data-model="linear"') :]
    assert "echarts" not in text


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?sort=model", ["broken", "calm", "new", "uneasy"]),
        ("?sort=-model", ["uneasy", "new", "calm", "broken"]),
        ("?sort=metric", ["broken", "calm", "new", "uneasy"]),
        ("?sort=traffic", ["calm", "broken", "new", "uneasy"]),
        ("?sort=since", ["broken", "calm", "new", "uneasy"]),
        ("?q=Uneas", ["uneasy"]),
        ("?q=too+high", ["broken"]),
        ("?q=&status=&sort=incidents", ["broken", "calm", "new", "uneasy"]),
        ("?status=other", ["new"]),
        ("?status=warning&q=nothing", []),
    ],
)
async def test_it_is_searched_and_sorted_by_its_address(
    settings: Settings, query: str, expected: list[str]
) -> None:
    """Search, status and order are parameters of the address, so that they need no script and can
    be kept; htmx gets the same rows.
    """
    async with running(create_app(settings)) as http:
        assert models(await read(http, query)) == expected
        part = await read(http, query, **{"HX-Target": "models", "HX-Request": "true"})
        assert models(part) == expected
        assert "<html" not in part
        assert 'name="q"' not in part, "the field that somebody types in is not replaced"


@pytest.mark.usefixtures("fleet")
async def test_the_heads_lead_to_each_order(settings: Settings) -> None:
    """Every column that can be sorted has a link, which turns the order round where it is sorted
    already, and keeps the search; another order is refused.
    """
    async with running(create_app(settings)) as http:
        text = await read(http, "?q=e&sort=traffic&status=warning")
        links = {one["id"]: one["href"] for one in Elements(text).of("a", **{"class": "sorter"})}
        assert set(links) == {f"sort-{order}" for order in KEYS}
        assert links["sort-traffic"] == "/?q=e&status=warning&sort=-traffic"
        assert links["sort-status"] == "/?q=e&status=warning"
        assert 'aria-sort="ascending"' in text
        problem(await http.get("/?sort=colour", headers={**BROWSER, "Accept": "*/*"}), 422)


async def test_a_thousand_models_are_pages_of_few_reads(
    settings: Settings, client: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page has a hundred rows; all models are read in one round trip for each hundred, and what
    was read a moment ago is not read again.
    """
    made = Fleet(client, keys)
    for number in range(2 * PAGE + 50):
        made.model(f"m{number:03}", "warning" if number == 240 else "ok")
    trips: list[int] = []
    some = standings.Standings._some

    async def counted(self: standings.Standings, names: list[str]) -> Any:
        trips.append(len(names))
        return await some(self, names)

    monkeypatch.setattr(standings.Standings, "_some", counted)
    monkeypatch.setattr(standings, "FRESH_S", 60.0)
    async with running(create_app(settings)) as http:
        text = await read(http)
        assert (len(models(text)), models(text)[0]) == (PAGE, "m240")
        assert "Page 1 of 3, " in text
        last = await read(http, "?page=3")
        assert (len(models(last)), models(last)[-1]) == (50, "m249")
        assert models(await read(http, "?page=99")) == models(last)
        assert trips == [standings.AT_ONCE, standings.AT_ONCE, 50]


@pytest.mark.usefixtures("fleet")
async def test_without_a_living_worker_nothing_is_called_well(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """The overview says that nothing is monitored, and what to do, as long as no worker shows a
    sign of life; a number that a dead one left behind is none.
    """
    fast = settings.model_copy(update={"watchdog_seconds": 0.05, "lease_ms": 400})
    async with serving(fast) as http:
        beats = itertools.count()

        async def told() -> bool:
            return "No worker lives" in await read(http)

        async def well_with_a_heartbeat() -> bool:
            client.hset(keys.workers, "w", str(next(beats)))
            return not await told()

        await until(told)
        await until(well_with_a_heartbeat)
        await until(told)


async def test_a_refresh_sees_what_changed_before_it(settings: Settings, fleet: Fleet) -> None:
    """The refresh of an open page comes after the last change, and none follows: so it is not
    answered from what was read before.
    """
    async with serving(settings) as http:
        assert "Verdict of oven." not in await read(http)
        fleet.model("oven", "critical")
        assert "Verdict of oven." in await read(http, **{"HX-Request": "true"})
