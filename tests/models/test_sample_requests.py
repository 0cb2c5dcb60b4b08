"""The requests of the README's curl line, through the API."""

import json
from pathlib import Path

import pytest

from driftgauge.models.catalogue import MODELS
from driftgauge.models.common.training import Trained, register
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.places import ROOT
from tests.producer.conftest import serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.long
async def test_every_sample_request_is_answered(
    all_trained: dict[str, Trained], redis_url: str, prefix: str, tmp_path: Path
) -> None:
    """The file beside each model, posted as it is, is answered by that model with a prediction of
    its kind.
    """
    registry = ModelRegistry(tmp_path / "registry")
    for name, trained in all_trained.items():
        register(MODELS[name].patient, trained, registry)
    settings = Settings(
        redis_url=redis_url,
        key_prefix=prefix,
        registry_dir=registry.folder,
        data_dir=tmp_path / "data",
    )
    async with serving(settings) as http:
        for name, model in MODELS.items():
            body = (ROOT / "models" / name / "sample_request.json").read_text()
            assert list(json.loads(body)["features"]) == list(model.schema.names)
            answer = await http.post(
                "/predict", content=body, headers={"content-type": "application/json"}
            )
            assert answer.status_code == 200, answer.text
            given = answer.json()
            assert (given["model"], given["version"]) == (name, "1.0.0")
            assert model.schema.read_prediction(given["prediction"])[1] is None
            chances = dict(zip(model.schema.classes, given.get("probabilities") or (), strict=True))
            assert not chances or given["prediction"] == max(
                chances, key=lambda label: chances[label]
            )
