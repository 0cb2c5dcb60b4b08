"""A client that is generated from the OpenAPI document works with the server that gave it."""

import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from pydantic import SecretStr

from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import api_process
from tests.producer.routes.judged.test_alerts import alert
from tests.producer.routes.judged.test_incidents import incident
from tests.producer.routes.test_reading import snapshot

NAME = "generated_client"
OTHERS = {
    "text/csv",
    "application/x-ndjson",
    "application/jsonl",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.file",
    "application/vnd.apache.arrow.stream",
}
"""Bodies beside JSON, which the generator leaves out, and says so."""
Load = Callable[[str], Any]


@pytest.fixture
def server(settings: Settings, tmp_path: Path, linear: ModelRegistry) -> Iterator[tuple[str, str]]:
    """The address of a real server of a model, and a key of it."""
    assert linear.registered()
    secret = create_key(settings.keys_path, "ann", ("admin",), None)
    with_key = settings.model_copy(update={"api_key": SecretStr(secret)})
    with api_process(with_key, tmp_path) as (url, _):
        yield url, secret


@pytest.fixture
def load(
    server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Load]:
    """What loads a module of a client that is generated from the server's document."""
    url, secret = server
    given = httpx.get(f"{url}/openapi.json", headers={"X-API-Key": secret}, trust_env=False)
    (tmp_path / "openapi.json").write_bytes(given.content)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    command += ["--path", "openapi.json", "--output-path", NAME]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert set(re.findall(r"WARNING parsing [^\n]*\n+([^\n]*)", said)) == {
        f"Unsupported content type {one}" for one in OTHERS
    }, said
    assert "Unable" not in said, said
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda name: importlib.import_module(f"{NAME}.{name}")
    for module in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[module]


@pytest.mark.long
def test_a_generated_client_works(
    server: tuple[str, str], load: Load, client: redis.Redis, keys: Keys
) -> None:
    """It predicts, sends the label, and reads predictions, drift, alerts, incidents and models;
    each answer is of the type that the document promises, with times as times, and an error is a
    problem.
    """
    url, secret = server
    client.sadd(keys.models, "linear")
    client.hset(keys.current("linear"), "1.0.0", snapshot(1_763_650_000_123))
    client.xadd(keys.alerts("linear"), {"e": cloud_event(alert("x", "firing", 7))})
    client.hset(keys.open_incidents("linear"), incident(7).id, cloud_event(incident(7)))
    models = load("models")

    def call(operation: str, *path: str, **given: Any) -> Any:
        return load(f"api.{operation}").sync(*path, client=http, **given)

    with load("client").AuthenticatedClient(
        base_url=url, token=secret, httpx_args={"trust_env": False}
    ) as http:
        features = models.PredictionRequestFeatures.from_dict({"x": 1.5, "y": 2})
        made = call("predictions.predict", body=models.PredictionRequest(features=features))
        assert isinstance(made, models.PredictionAnswer)
        assert (made.model, made.version, made.prediction) == ("linear", "1.0.0", 5)
        assert made.event == models.PredictionAnswerEvent.PUBLISHED

        label = models.Label(prediction_id=made.id, label=5.5)
        sent = call("labels.publish_labels", body=[label])
        assert isinstance(sent, models.LabelsAnswer)
        assert sent.rejected[0].reason.startswith("labels are off for linear")

        page = call("predictions.list_predictions", limit=1, until=datetime(2999, 1, 1, tzinfo=UTC))
        assert isinstance(page, models.PredictionPage)
        [logged] = page.predictions
        assert (logged.id, logged.features.to_dict()) == (made.id, {"x": 1.5, "y": 2})
        assert abs((datetime.now(UTC) - logged.time).total_seconds()) < 600

        window = call("drift.get_drift", model="linear")
        assert isinstance(window, models.Snapshot)
        assert window.created == datetime(2025, 11, 20, 14, 46, 40, 123_000, tzinfo=UTC)

        found = call("alerts.list_alerts", severity=models.ListAlertsSeverity.WARNING)
        assert isinstance(found, models.AlertPage)
        assert found.alerts[0].data.updated == datetime(1970, 1, 1, 0, 0, 0, 7000, tzinfo=UTC)
        assert found.next_ is None

        told = call("incidents.list_incidents", state=models.ListIncidentsState.OPEN)
        assert isinstance(told, models.IncidentPage)
        assert [one.data.id for one in told.incidents] == [incident(7).id]

        known = call("models.list_models")
        assert isinstance(known, models.ModelPage)
        assert [one.model for one in known.models] == ["linear"]
        assert known.models[0].serving.version == "1.0.0"

        wrong = call("models.get_model", "nobody")
        assert isinstance(wrong, models.ProblemDocument)
        assert wrong.status == 404
