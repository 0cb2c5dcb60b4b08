import msgspec
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import FeatureReport, Histogram, Snapshot, Window
from driftgauge.shared.moments import iso
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio


def snapshot(created: int, version: str = "1.0.0") -> bytes:
    histogram = Histogram([0.0, 1.0], None, [1.0], [1.0])
    feature = FeatureReport(
        "x<b>", "numeric", "ok", "", [], [], histogram, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]
    )
    return msgspec.json.encode(
        Snapshot(
            id=f"s{created}",
            model="linear",
            version=version,
            trigger="schedule",
            created=created,
            severity="ok",
            verdict="All is well.",
            window=Window(0, 1, 2000, 8, 2000),
            reference_rows=500,
            features=[feature],
            prediction=None,
            alerts=[],
            events_per_day=1.0,
        )
    )


def cloud_event(data: bytes) -> bytes:
    return b'{"specversion":"1.0","id":"i","source":"s","type":"t","data":' + data + b"}"


@pytest.mark.usefixtures("linear")
async def test_the_latest_report(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """/reports/latest is the newest snapshot: JSON for programs, a page without scripts for
    browsers, 404 before.
    """
    async with running(create_app(settings)) as http:
        assert "driftgauge worker" in problem(await http.get("/reports/latest"), 404)["detail"]
        for created in (1, 2):
            client.xadd(keys.snapshots("linear"), {"e": cloud_event(snapshot(created))})
        assert (await http.get("/reports/latest?model=linear")).json()["id"] == "s2"
        browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        page = await http.get("/reports/latest", headers=browser)
        assert page.headers["content-type"].startswith("text/html")
        assert "x<b>" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert (await http.get("/reports/latest?format=json", headers=browser)).json()[
            "created"
        ] == iso(2)
        problem(await http.get("/reports/latest?format=pdf"), 422)
        problem(await http.get("/reports/latest?model=no"), 404)


@pytest.mark.usefixtures("linear")
async def test_the_current_window(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """/drift is the current window of a version, by default of the one that was judged last; 404
    before.
    """
    async with running(create_app(settings)) as http:
        problem(await http.get("/drift"), 404)
        client.hset(
            keys.current("linear"),
            mapping={"10.0.0": snapshot(9, "10.0.0"), "9.0.0": snapshot(10, "9.0.0")},
        )
        assert (await http.get("/drift")).json()["version"] == "9.0.0"
        assert (await http.get("/drift?version=10.0.0")).json()["created"] == iso(9)
        problem(await http.get("/drift?version=1.1.1"), 404)
