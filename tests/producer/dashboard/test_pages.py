import re
import time
from html.parser import HTMLParser
from typing import Any

import httpx
import msgspec
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.dashboard.rendering import POLICY
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.incident import IncidentAlert
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Window
from driftgauge.shared.reporting.segmented import segment_tables
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running
from tests.producer.dashboard.snapshots import (
    MODEL,
    Judging,
    active,
    alert,
    feature,
    incident,
    performance,
    snapshot,
)
from tests.producer.reading.traffic.test_history import Panes
from tests.producer.routes.test_predict import problem
from tests.shared.reporting.segmented import region, segments

pytestmark = pytest.mark.anyio
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGE = f"/dashboard/models/{MODEL}"
DRIFT = f"/dashboard/drift?model={MODEL}&show=all"
PERFORMANCE = f"/dashboard/performance?model={MODEL}"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "../../etc/passwd",
    "\u202egnp",
    "n" * 10_000,
)


class Elements(HTMLParser):
    """All elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [
            attributes
            for name, attributes in self.found
            if name == tag and wanted.items() <= attributes.items()
        ]


async def read(http: httpx.AsyncClient, path: str, **headers: str) -> str:
    answer = await http.get(path, headers={**BROWSER, **headers})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-security-policy"] == POLICY
    check(answer.text)
    return answer.text


def check(text: str) -> None:
    """No page has an inline script, style or handler."""
    for tag, attributes in Elements(text).found:
        assert "style" not in attributes, (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert tag != "style"
        if tag == "script":
            assert attributes.get("type") == "application/json" or (
                attributes.get("src") or ""
            ).startswith("/"), attributes


def shape(text: str) -> str:
    """A page without its texts: the live numbers change."""
    return re.sub(">[^<]*<", "><", text)


def block(text: str, identifier: str) -> Any:
    found = re.search(f'id="{identifier}">(.*?)</script>', text)
    assert found, identifier
    return msgspec.json.decode(found[1])


@pytest.mark.usefixtures("linear")
async def test_a_models_own_page(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """It shows the model's window, tiles, prediction, performance and alerts."""
    judging = Judging(client, keys)
    judging.report(snapshot(1, performance=performance(1.5)))
    judging.current(
        snapshot(
            2,
            severity="critical",
            verdict="Critical: 1 of 2 columns drifted (x).",
            alerts=[active("x"), active("y", "pending")],
            performance=performance(2.5),
        )
    )
    async with running(create_app(settings)) as http:
        text = await read(http, PAGE)
        assert "Critical: 1 of 2 columns drifted (x)." in text
        assert '<data value="2000">2,000</data>' in text
        assert '<dd class="firing critical">1</dd><dd class="unit">1 pending</dd>' in text
        assert "PSI of x is high" in text
        metric = block(text, f"metric-{MODEL}")
        assert (metric["times"], metric["values"], metric["baseline"]) == ([1, 2], [1.5, 2.5], 1.0)
        again = await read(http, PAGE, **{"HX-Target": "card", "HX-Request": "true"})
        assert shape(again.strip()) in shape(text), "what is asked for again is the same block"
        assert "<html" not in again
        other = await read(http, "/dashboard/models/linear")
        assert "No labelled prediction yet" in other, "it has none, and is told what to do"
        problem(await http.get("/dashboard/models/no"), 404)


@pytest.mark.usefixtures("linear")
async def test_an_incident_leads_the_pages(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """The model's page and the drift page say what happened and what to do in the incident's words,
    instead of the window's findings one after the other; a version that it is not about keeps its
    own verdict, and so does one whose machine alone is at fault.
    """
    verdict = "Critical: MAE 5.218, baseline 1.094 (+377.1%); 1 of 2 columns drifted (x)."
    judging = Judging(client, keys)
    judging.current(snapshot(2, severity="critical", verdict=verdict))
    judging.current(snapshot(1, version="0.9.0", verdict="OK: none of 2 columns drifted."))
    of_version = IncidentAlert("f" * 16, snapshot(2).version, "x", "psi", "critical", "", 1, 1)
    found = incident(MODEL, 7, alerts=[of_version], of_alerts=1)
    at_fault = msgspec.structs.replace(found, id="e" * 16, kind="operation", headline="It is slow.")
    async with running(create_app(settings)) as http:
        for one, told in ((at_fault, False), (found, True)):
            client.hset(keys.open_incidents(MODEL), one.id, cloud_event(one))
            for page in (PAGE, DRIFT):
                text = await read(http, page)
                assert (verdict in text) is not told, page
                assert (f'href="/dashboard/incidents/{found.id}"' in text) is told, page
                assert (found.headline in text) is told, page
        other = await read(http, f"{DRIFT}&version=0.9.0")
        assert "OK: none of 2 columns drifted." in other
        assert found.headline not in other


@pytest.mark.usefixtures("linear")
async def test_a_program_gets_what_the_api_is(settings: Settings) -> None:
    """/ answers JSON to whoever does not ask for HTML."""
    async with running(create_app(settings)) as http:
        for accept in ("*/*", "application/json"):
            about = (await http.get("/", headers={"Accept": accept})).json()
            assert about["models"] == {"linear": "1.0.0"}
            assert about["links"]["openapi"] == "/openapi.json"


async def test_pages_without_anything(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """Without a model, and with one that was not judged, the pages say what to do next."""
    async with running(create_app(settings)) as http:
        for path in ("/", "/dashboard/drift", PERFORMANCE.partition("?")[0]):
            assert "driftgauge models register" in await read(http, path)
        client.sadd(keys.models, MODEL)
        assert "driftgauge worker" in await read(http, DRIFT)
        assert "driftgauge worker" in await read(http, PAGE)
        client.hset(keys.current(MODEL), "9.0.0", b'{"of": "another release"}')
        assert "Another release" in await read(http, DRIFT)
        assert "Another release" in await read(http, PERFORMANCE)
        problem(await http.get("/dashboard/drift?model=no"), 404)


async def test_the_drift_of_a_version(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """The worst feature first, with its numbers and colours over time; excluded and ordered ones
    are shown as such.
    """
    judging = Judging(client, keys)
    times = [1000, 2000, 3000]
    columns = [
        feature("calm", 0.01, psi_history=[None, 0.01, 0.01]),
        feature(
            "moved",
            0.4,
            "critical",
            psi_history=[0.01, 0.2, 0.4],
            reason="PSI 0.400 is above 0.300",
        ),
        feature("seasonal", 0.1, note="of the last 7 whole days", psi_history=[0.1, 0.1, 0.1]),
        feature("clock", None, "excluded", reason="a function of the clock"),
    ]
    judging.current(
        snapshot(3000, columns, severity="critical", history_times=times, alerts=[active("moved")])
    )
    async with running(create_app(settings)) as http:
        text = await read(http, DRIFT)
        rows = [one["data-feature"] for one in Elements(text).of("tr") if "data-feature" in one]
        assert rows == ["moved", "seasonal", "prediction", "calm"]
        heat = text[text.index('id="heat"') : text.index("Columns</h2>")]
        moved = heat[heat.index(">moved<") : heat.index("</tr>", heat.index(">moved<"))]
        assert re.findall(r'class="(h\d)" title="([0-9.]+)', moved) == [
            ("h0", "0.010"),
            ("h3", "0.200"),
            ("h5", "0.400"),
        ]
        assert (
            "ordered in time"
            in text[text.index('data-feature="seasonal"') : text.index('data-feature="calm"')]
        )
        assert "a function of the clock" in text[text.index("Excluded from drift") :]
        detail = await read(http, f"{DRIFT}&feature=moved", **{"HX-Target": "drawer"})
        series = block(detail, "series-points")
        assert (series["times"], series["values"]) == (times, [0.01, 0.2, 0.4])
        assert (series["warning"], series["critical"]) == (0.15, 0.3)
        assert series["marks"][0]["time"] == 1000
        assert 'id="drift"' not in detail
        problem(await http.get(f"{DRIFT}&feature=no"), 404)
        problem(await http.get(f"{DRIFT}&version=7.0.0"), 404)


def rows_of(text: str) -> list[str | None]:
    return [one["data-feature"] for one in Elements(text).of("tr") if "data-feature" in one]


def sentence(text: str) -> str:
    """What the page says about which columns it shows, without markup."""
    found = re.search(r'<p class="which"[^>]*>(.*?)</p>', text, re.DOTALL)
    assert found
    return " ".join(re.sub("<[^>]*>", "", found[1]).split())


async def test_a_wide_model_shows_what_changed(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Of 300 columns only those that changed are shown, the worst 25 first; a sentence says so, and
    one click leads to all. A part of a name finds columns, and pages go on from there.
    """
    columns = [feature(f"sensor_{place:03}", 0.001 * place, "ok") for place in range(270)]
    columns += [feature(f"valve_{place:02}", 0.4 + place, "critical") for place in range(30)]
    Judging(client, keys).current(snapshot(3000, columns, history_times=[1, 2, 3]))
    path = f"/dashboard/drift?model={MODEL}"
    async with running(create_app(settings)) as http:
        text = await read(http, path)
        assert rows_of(text) == [f"valve_{place:02}" for place in range(29, 4, -1)]
        assert sentence(text) == (
            "30 of 301 columns changed; the others are left out. Show all 301"
        )
        following = await read(http, f"{path}&page=2")
        assert rows_of(following) == [f"valve_{place:02}" for place in range(4, -1, -1)]
        assert "26</data> to" in following
        assert rows_of(await read(http, f"{path}&page=99")) == rows_of(following)
        links = [one["href"] for one in Elements(text).of("a") if "show=all" in (one["href"] or "")]
        whole = await read(http, links[0] or "")
        assert sentence(whole) == "All 301 columns, 30 of them changed. Show those that changed"
        assert len(rows_of(whole)) == 25
        assert len(whole) < 150_000, "the page does not grow with the model"
        found = await read(http, f"{path}&show=all&find=SENSOR_26", **{"HX-Target": "drift"})
        assert rows_of(found) == [f"sensor_{place}" for place in range(269, 259, -1)]
        assert "<html" not in found
        nothing = await read(http, f"{path}&find=sensor_26")
        assert sentence(nothing) == (
            "None of 10 columns with sensor_26 in the name changed. Show all 10 Any name"
        )
        assert rows_of(nothing) == []
        assert "No column has pump in its name." in sentence(await read(http, f"{path}&find=pump"))
        detail = await read(http, f"{path}&feature=sensor_001", **{"HX-Target": "drawer"})
        assert 'id="drawer-title"' in detail, "a column that no row shows has its drawer"


async def test_a_calm_model_says_so(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """Where nothing changed there is a sentence and no empty table."""
    Judging(client, keys).current(snapshot(3000, history_times=[1, 2, 3]))
    async with running(create_app(settings)) as http:
        text = await read(http, f"/dashboard/drift?model={MODEL}")
        assert sentence(text) == "None of 2 columns changed. Show all 2"
        assert 'id="heat"' not in text
        assert 'id="features"' not in text


async def test_a_window_without_rows_is_none(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """An alarm may come before a version's first pane: then it is told, and no window of no rows is
    shown; the version that has rows is shown first.
    """
    judging = Judging(client, keys)
    empty = msgspec.structs.replace(
        snapshot(9000, alerts=[active("x")], severity="critical"),
        version="2.0.0",
        window=Window(9000, 9000, 0, 0, 40),
    )
    judging.current(empty)
    async with running(create_app(settings)) as http:
        for path in (f"/dashboard/drift?model={MODEL}", DRIFT):
            text = await read(http, path)
            assert "No window yet" in text
            assert "PSI of x is high" in text
            assert "Rows in the window" not in text
            assert rows_of(text) == []
        judging.current(snapshot(3000))
        assert "1.0.0" in (await read(http, DRIFT)).partition("</h1>")[0]
        assert "No window yet" in await read(http, f"{DRIFT}&version=2.0.0")


async def test_long_names_are_cut_in_their_middle(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Names that begin alike are told apart by their ends; the whole name is there for a pointer
    and a screen reader.
    """
    names = [f"line_3_{'station_' * 12}temperature_{end}" for end in ("inlet", "outlet")]
    columns = [feature(name, 0.4, "critical") for name in names]
    Judging(client, keys).current(snapshot(3000, columns, history_times=[1, 2]))
    async with running(create_app(settings)) as http:
        text = await read(http, DRIFT)
    for name in names:
        assert f'title="{name}"' in text
        assert f'<span class="sr">{name}</span>' in text
        assert f'aria-hidden="true">{name[-8:]}</span>' in text
    assert '<span class="cut-head" aria-hidden="true">line_3_station_' in text


async def test_the_performance_of_a_version(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Metrics beside their baselines, the labels as a feature, and the report's section of
    segments; the overview says what changed where and leads there.
    """
    judging = Judging(client, keys)
    target = feature("label", 0.4, "warning", reason="PSI 0.400 is above 0.300")
    found = msgspec.structs.replace(performance(2.5), target=target)
    judging.current(snapshot(3, performance=found, segments=segments()))
    judging.current(snapshot(2, version="0.9.0"))
    async with running(create_app(settings)) as http:
        text = await read(http, PERFORMANCE)
        assert "not kept any more" not in text
        client.hset(keys.judge(MODEL), "state", '{"labels_too_late":1234}')
        text = await read(http, PERFORMANCE)
        assert "1,234 labels came when the day of their prediction was not kept any more" in text
        assert '<data value="2.5">2.500</data>' in text
        assert "RMSE" in text
        assert "PSI 0.400 is above 0.300" in text[text.index("Target") :]
        for table in segment_tables(segments()):
            sentence = text.index(f'<p class="explanation"><bdi>{table.sentence}</bdi>')
            assert text.index(f"<h3>By <bdi>{table.feature.feature}</bdi>") < sentence
        assert text.count("<details") == 3
        assert len(Elements(text).of("th", scope="row")) >= 63
        again = await read(http, PERFORMANCE, **{"HX-Target": "performance"})
        assert "<html" not in again
        assert shape(again.strip()) in shape(text), "what is asked for again is the same block"
        other = await read(http, f"{PERFORMANCE}&version=0.9.0")
        assert "This version has no segments" in other
        assert "POST /labels" in other
        problem(await http.get(f"{PERFORMANCE}&version=7.0.0"), 404)
        card = await read(http, PAGE)
        assert region().explanation in card
        assert "No segment of device" not in card
        assert f"/dashboard/performance?model={MODEL}&amp;version=1.0.0" in card


async def test_traffic_begins_before_the_page_was_opened(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """The chart's first answer has what the panes tell, with a gap where no event came."""
    now_ms = int(time.time() * 1000)
    panes = Panes(client, keys)
    panes.write(range(now_ms - 3_600_000, now_ms - 2_400_000, 1000), 990)
    panes.write(range(now_ms - 1_200_000, now_ms, 1000), 990)
    Judging(client, keys)
    async with running(create_app(settings)) as http:
        traffic = block(await read(http, PAGE), f"traffic-{MODEL}")
    rates = [rate for _, rate in traffic["points"]]
    assert traffic["live"] is True
    assert abs(traffic["points"][0][0] - (now_ms - 3_600_000)) < 1000
    assert rates.count(None) == 1
    assert all(245 < rate < 256 for rate in rates if rate is not None)


async def test_a_metric_of_one_report_has_its_windows_axis(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """The chart of a single point is given the window that it is of: of itself it has no extent."""
    found = msgspec.structs.replace(performance(2.5), start=1000, end=9000)
    Judging(client, keys).current(snapshot(9000, performance=found))
    async with running(create_app(settings)) as http:
        metric = block(await read(http, PAGE), f"metric-{MODEL}")
        assert (metric["times"], metric["start"], metric["end"]) == ([9000], 1000, 9000)


async def test_an_alert_names_its_segment(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Wherever the alert is shown: the overview, the open ones, the history, its own page, the
    dialogs' words.
    """
    judging = Judging(client, keys)
    one = msgspec.structs.replace(active("x"), fingerprint=f"{1:016x}", segment="region=north")
    judging.current(snapshot(3, alerts=[one], severity="critical"))
    event = msgspec.structs.replace(alert(1), segment="region=north")
    client.xadd(keys.alerts(MODEL), {"e": cloud_event(event)})
    async with running(create_app(settings)) as http:
        name = "in <bdi>region=north</bdi>"
        assert (await read(http, PAGE)).count(name) == 1
        listed = await read(http, "/dashboard/alerts")
        assert listed.count(name) == 2
        alone = await read(http, f"/dashboard/alerts/{1:016x}")
        assert "x in region=north, Values changed (PSI)" in alone
        assert name in alone
        link = Elements(alone).of("a", href=f"/dashboard/glossary?model={MODEL}#rule-psi")
        assert link, "what the rule means is one step away"
        assert Elements(await read(http, "/dashboard/glossary")).of("tr", id="rule-psi")
        series = block(await read(http, f"{DRIFT}&feature=x"), "series-points")
        assert series["marks"] == [], "the feature's line is of all rows"


async def test_numbers_have_their_units(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """The unit of a metric and of a feature, as the schema has it, wherever they are shown; it is
    never markup.
    """
    judging, metrics = Judging(client, keys), performance(2.5)
    metric = msgspec.structs.replace(metrics.metrics[0], unit="<kWh>")
    found = msgspec.structs.replace(metrics, metrics=[metric])
    judging.current(snapshot(3, [feature("x", unit="<bar>")], performance=found))
    async with running(create_app(settings)) as http:
        for path in (PERFORMANCE, PAGE):
            assert '<data value="2.5">2.500</data> &lt;kWh&gt;' in await read(http, path)
        assert "numeric · &lt;bar&gt;" in await read(http, DRIFT)
        assert "&lt;kWh&gt;" in await read(http, "/")


async def test_another_statistic_comes_from_the_reports(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Its series is read from the snapshot stream: of this version, readable entries only, and the
    current window last.
    """
    judging = Judging(client, keys)
    for created in range(1, 40):
        judging.report(snapshot(created, [feature("x", created / 100)]))
        judging.report(snapshot(created, [feature("x", 9.0)], version="2.0.0"))
    client.xadd(keys.snapshots(MODEL), {"e": b"no report"})
    judging.current(snapshot(50, [feature("x", 0.5)]))
    async with running(create_app(settings)) as http:
        detail = await read(http, f"{DRIFT}&statistic=ks&feature=x", **{"HX-Target": "drawer"})
        series = block(detail, "series-points")
        assert series["times"] == [*range(1, 40), 50]
        assert series["values"] == [created / 200 for created in (*range(1, 40), 50)]
        assert (await http.get(f"{DRIFT}&statistic=none", headers=BROWSER)).status_code == 200


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_is_never_markup(
    settings: Settings, client: redis.Redis, keys: Keys, name: str
) -> None:
    """Untrusted names, verdicts and reasons are text on every page, and the page's links still
    lead to them.
    """
    judging = Judging(client, keys)
    columns = [
        feature(name, 0.4, "critical", reason=name),
        feature("b", None, "excluded", reason=name),
    ]
    judging.current(
        snapshot(3, columns, severity="critical", verdict=name, notes=[name], alerts=[active(name)])
    )
    async with running(create_app(settings)) as http:
        for path in ("/", PAGE, DRIFT, PERFORMANCE):
            text = await read(http, path)
            assert Elements(text).of("img", src="x") == []
            assert "\u202e" not in re.sub(r'data-feature="[^"]*"', "", text)
        links = [
            one["href"] or ""
            for one in Elements(await read(http, DRIFT)).of("a")
            if "feature=" in (one["href"] or "")
        ]
        detail = await read(http, links[0])
        assert 'id="drawer-title"' in detail


async def test_everything_lies_below_the_root_path(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Behind a proxy's prefix every link, form, file and stream begins with it, whether the proxy
    strips it or not.
    """
    Judging(client, keys).current(snapshot(3))
    async with running(
        create_app(settings.model_copy(update={"root_path": "/monitor/drift"}))
    ) as http:
        for path in ("/", "/monitor/drift/", DRIFT, f"/monitor/drift{DRIFT}", PERFORMANCE):
            text = await read(http, path)
            for _, attributes in Elements(text).found:
                for name in ("href", "src", "action", "hx-get", "data-events"):
                    address = attributes.get(name)
                    if address and not address.startswith("#"):
                        assert address.startswith("/monitor/drift/"), address
        assert 'aria-current="page"' in await read(http, "/monitor/drift/")
        assert (await http.get("/monitor/drift/openapi.json")).json()["servers"] == [
            {"url": "/monitor/drift"}
        ]
        assert (await http.post("/monitor/drift/logout")).headers[
            "location"
        ] == "/monitor/drift/login"


@pytest.mark.usefixtures("linear")
async def test_a_browser_without_a_session_is_sent_to_the_login(settings: Settings) -> None:
    """And from there to where it wanted to go, below a proxy's prefix too; its page and its files
    are open, nothing else.
    """
    key = create_key(settings.keys_path, "reader", ("read",), None)
    async with running(create_app(settings.model_copy(update={"root_path": "/monitor"}))) as http:
        sent = await http.get("/dashboard/drift?model=linear", headers=BROWSER)
        assert sent.status_code == 303
        assert (
            sent.headers["location"] == "/monitor/login?next=%2Fdashboard%2Fdrift%3Fmodel%3Dlinear"
        )
        form = Elements(await read(http, sent.headers["location"])).of("input", name="next")
        entered = await http.post("/monitor/login", data={"key": key, "next": form[0]["value"]})
        assert entered.headers["location"] == "/monitor/dashboard/drift?model=linear"
        assert "Path=/monitor" in entered.headers["set-cookie"]
        problem(await http.get("/dashboard/events"), 401)
        cookie = {"Cookie": entered.headers["set-cookie"].split(";")[0]}
        assert "Log out" in await read(http, entered.headers["location"], **cookie)
