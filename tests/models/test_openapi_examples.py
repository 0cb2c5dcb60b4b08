"""The examples of /openapi.json, sent as they stand there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from driftgauge.models.catalogue import MODELS
from driftgauge.models.common.training import Trained, store
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.proposals import Answer
from driftgauge.shared.reference.accepted import AcceptedReference
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import publish, rows, serving
from tests.producer.routes.test_references import worker

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def found(document: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield path, media type and example of every request of the document that has one, wherever it
    stands in the body.
    """
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                schema = content["schema"]
                if "$ref" in schema:
                    name = schema["$ref"].rpartition("/")[2]
                    schema = document["components"]["schemas"][name]
                for example in (
                    content.get("example"),
                    schema.get("example"),
                    *schema.get("examples", ()),
                ):
                    if example is not None:
                        yield path, kind, example


async def sent(http: httpx.AsyncClient, path: str, kind: str, example: Any) -> httpx.Response:
    body = {"content": example} if isinstance(example, str) else {"json": example}
    return await http.post(path, headers={"content-type": kind}, **body)


@pytest.mark.parametrize("name", MODELS)
async def test_every_example_is_accepted_by_the_demo_model_that_is_served(
    all_trained: dict[str, Trained], name: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    """Predictions, batches, events and labels, as JSON and CSV; a promotion, a new reference and
    its undo.
    """
    registry = ModelRegistry(tmp_path / "registry")
    stored = store(MODELS[name], all_trained[name], registry)
    registry.promote(
        name, stored, "production", actor="test"
    )  # not by the gates: one bounds a time
    settings = Settings(
        redis_url=redis_url,
        key_prefix=prefix,
        registry_dir=registry.folder,
        data_dir=tmp_path / "data",
    )
    profile = registry.load(name, "1.0.0").reference
    made = AcceptedReference("1.0.0", 1, profile, None, 5, 9)
    seen: set[tuple[str, str]] = set()
    async with worker(settings, Keys(prefix), Answer(made.pack()), name), serving(settings) as http:
        for path, kind, example in found((await http.get("/openapi.json")).json()):
            answer = await sent(http, path.format(model=name, version="1.0.0"), kind, example)
            if path.endswith(
                "/promote"
            ):  # understood, and refused since nobody validated the version on data
                assert [check["name"] for check in answer.json()["gates"]] == [
                    "recorded validation"
                ], answer.text
            else:
                assert answer.status_code in {200, 201, 202}, (path, answer.text)
            if path == "/labels":
                assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, [])
            elif path == "/predict_batch":
                assert ",ok," in answer.text or answer.json()["summary"]["ok"] == 1
            seen.add((path, kind))
    references = "/models/{model}/versions/{version}/references"
    assert seen == {
        *(
            (path, "application/json")
            for path in ("/predict", "/predict_batch", "/events", "/labels", references)
        ),
        *((path, "text/csv") for path in ("/predict_batch", "/labels")),
        (f"{references}/undo", "application/json"),
        ("/models/{model}/versions/{version}/promote", "application/json"),
    }


async def test_examples_of_other_models(redis_url: str, prefix: str, tmp_path: Path) -> None:
    """A model that is only watched, with a personal and a missing feature, has events alone;
    without a model none.
    """
    registry = ModelRegistry(tmp_path / "registry")
    settings = Settings(
        redis_url=redis_url,
        key_prefix=prefix,
        registry_dir=registry.folder,
        data_dir=tmp_path / "data",
    )
    async with serving(settings) as http:
        paths = {path for path, _, _ in found((await http.get("/openapi.json")).json())}
        assert paths.isdisjoint({"/predict", "/predict_batch", "/events", "/labels"})
    personal = Feature("email", "categorical", pii="drop")
    schema = Schema(
        (
            Feature("x", "numeric", minimum=3, maximum=9),
            personal,
            Feature("z", "numeric", nullable=True),
        )
    )
    frame = rows().assign(x=5.0, email="a@example.org", z=1.0)
    publish(registry, "watched", schema, frame[["x", "email", "z"]])
    async with serving(settings) as http:
        examples = {
            path: (kind, example)
            for path, kind, example in found((await http.get("/openapi.json")).json())
        }
        assert examples.keys().isdisjoint({"/predict", "/predict_batch", "/labels"})
        assert "example.org" not in str(examples)
        answer = await sent(http, "/events", *examples["/events"])
        assert answer.status_code == 202, answer.text
