from typing import Any

import httpx
import pytest
from sklearn.linear_model import LinearRegression

from driftgauge.producer.app import create_app
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from driftgauge.shared.versions.gates import Gates
from tests.producer.conftest import GOOD, SCHEMA, publish, rows, running, until
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio
LENIENT = Gates(min_reference_rows=500)


@pytest.fixture
def two(registry: ModelRegistry) -> ModelRegistry:
    """1.0.0 in production gives z = 2x + y; 2.0.0, archived again, gives 7; 3.0.0 needs a metric
    that nobody measured.
    """
    frame = rows()
    for target in (7 + 0 * frame["x"], 2 * frame["x"] + frame["y"]):
        publish(
            registry,
            "linear",
            SCHEMA,
            frame,
            LinearRegression().fit(frame.to_numpy(), target),
            gates=LENIENT,
        )
    return registry


async def served(http: httpx.AsyncClient, **headers: str) -> str:
    answer = await http.post("/predict", json={"features": GOOD}, headers=headers)
    assert answer.status_code == 200
    return str(answer.json()["version"])


async def test_what_is_registered_and_served(two: ModelRegistry, settings: Settings) -> None:
    """/models lists every model with versions, stages, metrics, the version that serves and what is
    wrong with any.
    """
    publish(two, "bikes", SCHEMA, rows())
    (two.folder / "bikes" / "1.0.0" / "manifest.json").write_bytes(b"{")
    async with running(create_app(settings)) as http:
        bikes, linear = (await http.get("/models")).json()["models"]
        assert [model["model"] for model in (bikes, linear)] == ["bikes", "linear"]
        assert linear["serving"] == {"version": "2.0.0", "fault": None}
        assert linear["production"] == "2.0.0"
        stages = [
            (version["version"], version["stage"], version["task"])
            for version in linear["versions"]
        ]
        assert stages == [
            ("2.0.0", "production", "regression"),
            ("1.0.0", "archived", "regression"),
        ]
        assert bikes["serving"]["version"] is None
        assert "manifest" in bikes["serving"]["fault"]
        assert "manifest" in bikes["versions"][0]["fault"]
        one = (await http.get("/models/linear")).json()
        assert [change["version"] for change in one["history"]] == ["2.0.0", "1.0.0"]
        assert one["history"][0]["actor"] == "test"
        for path in (
            "/models/none",
            "/models/None!",
            "/models/..%2f..",
            "/models/linear/versions/9.9.9",
        ):
            problem(await http.get(path), 404)
        problem(await http.get("/models/linear/versions/latest"), 404)
        problem(await http.get("/models/bikes/versions/1.0.0"), 409)


async def test_one_version(two: ModelRegistry, settings: Settings) -> None:
    """A version is told with manifest, schema, gates and history; `verify` finds a byte of the
    model that changed.
    """
    async with running(create_app(settings)) as http:
        path = "/models/linear/versions/1.0.0"
        one = (await http.get(path, params={"verify": True})).json()
        assert one["schema"]["features"][0]["name"] == "x"
        assert one["manifest"]["gates"] == {"min_reference_rows": 500}
        assert one["reference_rows"] == 500
        assert [change["action"] for change in one["history"]] == ["promote", "promote"]
        assert one["faults"] == []
        artifact = two.folder / "linear" / "1.0.0" / "model.joblib"
        content = bytearray(artifact.read_bytes())
        content[len(content) // 2] ^= 1
        artifact.write_bytes(content)
        assert "SHA-256" in (await http.get(path, params={"verify": True})).json()["faults"][0]
        assert "faults" not in (await http.get(path)).json()


async def test_an_admin_promotes_and_rolls_back(two: ModelRegistry, settings: Settings) -> None:
    """A promotion and a rollback serve within two seconds and are recorded under the key's name
    with their reason.
    """
    key = {"X-API-Key": create_key(settings.keys_path, "ann", ("admin",), None)}
    async with running(create_app(settings)) as http:
        promoted = await http.post(
            "/models/linear/versions/1.0.0/promote", json={"reason": "it was better"}, headers=key
        )
        assert promoted.status_code == 200
        change = promoted.json()
        assert (change["actor"], change["version"], change["replaced"]) == ("ann", "1.0.0", "2.0.0")
        assert change["reason"] == "it was better"

        async def serves(version: str) -> bool:
            return await served(http, **key) == version

        await until(lambda: serves("1.0.0"))
        back = await http.post("/models/linear/rollback", headers=key)
        assert (back.json()["action"], back.json()["version"]) == ("rollback", "2.0.0")
        await until(lambda: serves("2.0.0"))
        assert (await http.get("/models/linear", headers=key)).json()["serving"][
            "version"
        ] == "2.0.0"
    assert [change.actor for change in two.history("linear")] == ["test", "test", "ann", "ann"]


async def test_a_version_that_fails_its_checks_is_refused_with_all_of_them(
    two: ModelRegistry, settings: Settings
) -> None:
    """409 lists every failed check and nothing changes; staging is open to it; force needs a reason
    and is recorded.
    """
    frame = rows()
    strict = Gates(minimum={"r2": 0.9}, methods=("predict", "predict_proba"))
    publish(
        two,
        "strict",
        SCHEMA,
        frame,
        LinearRegression().fit(frame.to_numpy(), frame["x"]),
        gates=strict,
    )
    publish(
        two,
        "strict",
        SCHEMA,
        frame,
        LinearRegression().fit(frame.to_numpy(), frame["x"]),
        gates=strict,
    )
    path = "/models/strict/versions/1.0.0/promote"
    async with running(create_app(settings)) as http:
        refused = problem(await http.post(path, json={"to": "production"}), 409)
        failed = {check["name"] for check in refused["gates"]}
        assert {"method predict_proba", "recorded validation"} <= failed
        assert all(name in refused["detail"] for name in failed)
        assert two.production("strict") == "2.0.0"
        assert (await http.post(path, json={"to": "staging"})).json()["stage"] == "staging"
        assert (
            problem(await http.post(path, json={"force": True}), 422)["errors"][0]["field"]
            == "/reason"
        )
        forced = (await http.post(path, json={"force": True, "reason": "an emergency"})).json()
        assert (forced["forced"], forced["actor"]) == (True, "anonymous")
        assert two.production("strict") == "1.0.0"


BAD_BODIES: list[tuple[bytes, int]] = [
    (b'{"to": "archived"}', 422),
    (b'{"reason": "a\\nb"}', 422),
    (b'{"force": 1}', 422),
    (b'{"unknown": 1}', 422),
    (b"[]", 422),
    (b"{", 400),
    (b'{"reason": "' + b"x" * 1001 + b'"}', 422),
    (b" " * 70_000, 413),
]


@pytest.mark.parametrize(("body", "status"), BAD_BODIES)
async def test_a_bad_request_changes_nothing(
    two: ModelRegistry, settings: Settings, body: bytes, status: int
) -> None:
    """Bodies that do not fit are refused with the field that is wrong, and no stage changes."""
    before = two.stages("linear")
    async with running(create_app(settings)) as http:
        problem(await http.post("/models/linear/versions/1.0.0/promote", content=body), status)
    assert two.stages("linear") == before


@pytest.mark.usefixtures("two")
async def test_what_cannot_be_done_is_said(settings: Settings) -> None:
    """Unknown models and versions are 404; what is in production already and a rollback without a
    way back are 409.
    """
    answers: list[tuple[str, int, Any]] = [
        ("/models/none/rollback", 404, "no model"),
        ("/models/linear/versions/9.9.9/promote", 404, "9.9.9"),
        ("/models/linear/versions/x/promote", 404, "'x' is no version"),
        ("/models/linear/versions/2.0.0/promote", 409, "already"),
    ]
    async with running(create_app(settings)) as http:
        for path, status, told in answers:
            assert told in problem(await http.post(path), status)["detail"]
        assert (await http.post("/models/linear/rollback")).json()["version"] == "1.0.0"
        assert "no previous" in problem(await http.post("/models/linear/rollback"), 409)["detail"]
