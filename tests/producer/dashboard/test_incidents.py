"""The Incidents pages: folded cards, evidence as a timeline, and many acknowledged at once."""

import re
from typing import Any

import httpx
import msgspec
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.dashboard.views.timeline import DRAWN, drawn, timeline
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.contract import commands
from driftgauge.shared.contract.alert import Acknowledgement, AlertEvidence, BrokenValues
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.commands import Acknowledge
from driftgauge.shared.contract.incident import Incident, IncidentAlert
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running
from tests.producer.dashboard.snapshots import MODEL, Judging, active, alert, incident, snapshot
from tests.producer.dashboard.test_pages import BROWSER, Elements, check
from tests.producer.dashboard.test_standings import Fleet
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio


def evidence(number: int, **more: Any) -> IncidentAlert:
    return IncidentAlert(
        f"{number:016x}", "1.0.0", f"x{number}", "psi", "critical", "high", number, number, **more
    )


async def read(http: httpx.AsyncClient, path: str, **headers: str) -> str:
    answer = await http.get(path, headers={**BROWSER, **headers})
    assert answer.status_code == 200, answer.text
    check(answer.text)
    return answer.text


@pytest.fixture
def opened(client: redis.Redis, keys: Keys) -> list[Incident]:
    """Three open incidents of two models; the second is acknowledged."""
    fleet = Fleet(client, keys)
    fleet.model(MODEL, "critical")
    fleet.model("other", "critical")
    many = [evidence(number) for number in range(30)]
    found = [
        incident(MODEL, 7, alerts=many, of_alerts=181),
        incident(MODEL, 8, "warning", acknowledged=Acknowledgement("ann", "is mended", 99)),
        incident("other", 9),
    ]
    for one in found:
        fleet.open(one)
        client.xadd(keys.incidents(one.model), {"e": cloud_event(one)})
    return found


async def test_cards_are_folded(settings: Settings, opened: list[Incident]) -> None:
    """Each incident is a line that unfolds to what to do and the first steps of its timeline; one
    that somebody acknowledged says who, when and with what note. A fault of 181 alerts is as long
    as any.
    """
    async with running(create_app(settings)) as http:
        text = await read(http, "/dashboard/incidents")
    cards = Elements(text).of("details")
    assert [one["id"] for one in cards] == [f"incident-{opened[place].id}" for place in (2, 0, 1)]
    assert not any("open" in one for one in cards)
    first = text[text.index(f'data-incident="{opened[0].id}"') :]
    first = first[: first.index("</article>")]
    assert first.count("<li") == 6
    assert "25 more steps" in first
    assert "What to do:" in first
    second = text[text.index(f'data-incident="{opened[1].id}"') :]
    assert re.search(r'Acknowledged by <bdi>ann</bdi> <time data-ms="99"', second)
    assert "<q><bdi>is mended</bdi></q>" in second
    boxes = Elements(text).of("input", type="checkbox", name="incident")
    assert [one["value"] for one in boxes] == [f"other {opened[2].id}", f"{MODEL} {opened[0].id}"]
    assert {one["form"] for one in boxes} == {"chosen"}


async def test_some_are_acknowledged_at_once(
    settings: Settings, client: redis.Redis, keys: Keys, opened: list[Incident]
) -> None:
    """A form that needs no script asks judging for each chosen incident, with one note, and leads
    back to the list, which says how many that were, and how many are over by now.
    """
    form = {
        "incident": [f"{MODEL} {opened[0].id}", f"other {opened[2].id}", f"{MODEL} {'0' * 16}"],
        "note": " seen ",
        "model": MODEL,
    }
    async with running(create_app(settings)) as http:
        answer = await http.post("/dashboard/incidents/acknowledge", data=form)
        assert answer.status_code == 303
        address = answer.headers["location"]
        assert address == f"/dashboard/incidents?model={MODEL}&acknowledged=2&gone=1"
        assert "2</data> incidents acknowledged." in await read(http, address)
        for model, one in ((MODEL, opened[0]), ("other", opened[2])):
            entries: Any = client.xrange(keys.commands(model))
            command = commands.decode(entries[0][1][commands.FIELD])
            assert command == Acknowledge(one.id, "anonymous", "seen")
        for wrong in ("nothing", f"{MODEL} x", f"No {opened[0].id}"):
            bad = {"incident": wrong}
            problem(await http.post("/dashboard/incidents/acknowledge", data=bad), 422)
        problem(
            await http.post("/dashboard/incidents/acknowledge", data={**form, "note": "n" * 501}),
            422,
        )


async def test_who_may_acknowledge(settings: Settings, opened: list[Incident]) -> None:
    """Only a key with the scope admin, and no other site's page, may; a reader is offered
    nothing.
    """
    keyed = {
        scope: {"X-API-Key": create_key(settings.keys_path, scope, (scope,), None)}
        for scope in ("read", "admin")
    }
    form = {"incident": f"{MODEL} {opened[0].id}"}
    async with running(create_app(settings)) as http:
        text = await read(http, "/dashboard/incidents", **keyed["read"])
        assert 'type="checkbox"' not in text
        path = "/dashboard/incidents/acknowledge"
        problem(await http.post(path, data=form, headers=keyed["read"]), 403)
        cross = {**keyed["admin"], "Sec-Fetch-Site": "cross-site"}
        problem(await http.post(path, data=form, headers=cross), 403)
        assert (await http.post(path, data=form, headers=keyed["admin"])).status_code == 303


async def test_the_page_of_one_has_its_evidence_over_time(
    settings: Settings, opened: list[Incident]
) -> None:
    """All steps in order, and a picture of the alerts as bars; the feature that changed leads to
    its drawer.
    """
    async with running(create_app(settings)) as http:
        text = await read(http, f"/dashboard/incidents/{opened[0].id}")
    assert text.count("/dashboard/alerts/") == 30
    assert text.count('class="bar critical"') == DRAWN
    assert f"/dashboard/drift?model={MODEL}&amp;version=1.0.0&amp;feature=x" in text
    assert "Acknowledge…" in text


def test_a_timeline_is_in_the_order_of_time() -> None:
    """It begins with the estimated change, whatever the clock says; alerts join and resolve, people
    mark it, it is over.
    """
    alerts = [evidence(50, ended=90), evidence(30)]
    mark = Acknowledgement("ann", "", 70)
    one = incident(MODEL, 60, alerts=alerts, acknowledged=mark)
    assert [(step.time, step.kind) for step in timeline(one)] == [
        (60, "began"),
        (30, "joined"),
        (50, "joined"),
        (70, "acknowledged"),
        (90, "resolved"),
    ]
    over = msgspec.structs.replace(one, state="resolved", ended=99)
    assert [step.kind for step in timeline(over)][-2:] == ["acknowledged", "over"]
    assert drawn(one).count("<circle") == 2
    assert drawn(incident(MODEL, 1)) == ""


async def test_an_integrity_alert_says_what_is_wrong(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Its page has the kinds of broken values, the range of the reference and the worst values, no
    cells of PSI; it leads to the feature's drawer and to the incident that it is evidence of.
    """
    Judging(client, keys)
    broken = BrokenValues(
        2000, missing=3, outside=40, smallest=0.5, largest=99.0, lowest=-999.0, highest=1e6,
        unit="<bar>",
    )  # fmt: skip
    found = AlertEvidence(
        "out_of_range_share", 0.02, 0.001, 0.0, 5000, 2000, 1, 0, 1, broken=broken
    )
    one = msgspec.structs.replace(alert(1), rule="out_of_range", evidence=found)
    client.xadd(keys.alerts(MODEL), {"e": cloud_event(one)})
    told = incident(MODEL, 7, alerts=[evidence(1)])
    Fleet(client, keys).open(told)
    async with running(create_app(settings)) as http:
        text = await read(http, f"/dashboard/alerts/{1:016x}")
        for words in (
            "Outside the range",
            "No value",
            "Range in the reference",
            "\u2212999",
            "</data> &lt;bar&gt;",
        ):
            assert words in text
        assert "PSI" not in text
        assert 'href="/dashboard/drift?model=plant&amp;version=1.0.0&amp;feature=x"' in text
        assert f'id="its-incident" href="/dashboard/incidents/{told.id}"' in text
        listed = await read(http, "/dashboard/alerts")
        assert "Nothing in the history" not in listed


@pytest.mark.parametrize("address", [None, "http://tempo:3200/trace/{trace}?a=1&b=2"])
async def test_an_alert_leads_to_traces(
    settings: Settings, client: redis.Redis, keys: Keys, address: str | None
) -> None:
    """Its page names the traces of the evidence, as links if the settings say where to; what is no
    trace's id is left out, whoever wrote it.
    """
    Judging(client, keys)
    traces = ("a" * 32, "javascript:alert(1)", "<b>")
    found = AlertEvidence("psi", 0.4, 0.1, 0.0, 5000, 2000, 1, 0, 1, traces=traces)
    one = msgspec.structs.replace(alert(1), evidence=found)
    client.xadd(keys.alerts(MODEL), {"e": cloud_event(one)})
    changed = settings.model_copy(update={"trace_url": address})
    async with running(create_app(changed)) as http:
        text = await read(http, f"/dashboard/alerts/{1:016x}")
        assert f'href="http://tempo:3200/trace/{"a" * 32}?a=1&amp;b=2"' in text or address is None
        assert "a" * (8 if address else 32) in text
        assert "javascript" not in text
        assert "<b>" not in text


async def test_open_alerts_are_a_table_of_the_most_urgent(
    settings: Settings, client: redis.Redis, keys: Keys, opened: list[Incident]
) -> None:
    """A row each, with its incident; beyond fifty they are shown when they are asked for."""
    names = [f"{number:016x}" for number in range(70)]
    found = [
        msgspec.structs.replace(active(f"x{number}"), fingerprint=name)
        for number, name in enumerate(names)
    ]
    Judging(client, keys).current(snapshot(5, alerts=found, severity="critical"))
    async with running(create_app(settings)) as http:
        text = await read(http, "/dashboard/alerts")
        assert text.count("data-fingerprint=") == 50
        assert "Show all 70" in text
        assert text.count(f'href="/dashboard/incidents/{opened[0].id}">incident') == 30
        every = await read(http, "/dashboard/alerts?every=true")
        assert every.count("data-fingerprint=") == 70
