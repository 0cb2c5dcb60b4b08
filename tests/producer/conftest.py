"""A small fitted model in a registry of its own, and the app around it, as a client sees it."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import joblib
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI

from driftgauge.producer.app import create_app
from driftgauge.shared.connections.api_client import authorization
from driftgauge.shared.local import deployment, processes
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry import trial
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion, new_manifest
from driftgauge.shared.settings import Settings
from tests.producer.documented import document_of
from tests.producer.linear import Linear

SCHEMA = Schema(
    (Feature("x", "numeric", minimum=-100, maximum=100), Feature("y", "numeric")), target="z"
)
GOOD = {"x": 1.5, "y": 2}


def rows() -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(1).normal(size=(500, 2)), columns=["x", "y"])


def publish(
    registry: ModelRegistry,
    name: str,
    schema: Schema,
    frame: pd.DataFrame,
    estimator: Any = None,
    task: Any = "regression",
    key: str | None = None,
    stage: Any = "production",
    **more: Any,
) -> None:
    prediction = None if schema.prediction is None else np.zeros(len(frame))
    if schema.prediction == "categorical":
        prediction = np.array(["a"] * len(frame), dtype=object)
    reference = build_profile(schema, columns_of(frame, schema, key), prediction)
    manifest = new_manifest(
        name, registry.next_version(name), task if estimator else "monitor", **more
    )
    artifact = None
    if estimator is not None:
        artifact = registry.folder / f"{name}.joblib"
        registry.folder.mkdir(parents=True, exist_ok=True)
        joblib.dump(estimator, artifact)
    registry.register(PublishedVersion(manifest, schema, reference), artifact)
    if artifact is not None:  # else each API process of a test would try it
        trial.note(registry.storage, artifact.read_bytes())
    registry.promote(name, manifest.version, stage, actor="test")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "registry")


@pytest.fixture(scope="session")
def published_linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linear")
    publish_linear(ModelRegistry(folder))
    return folder


@pytest.fixture
def linear(registry: ModelRegistry, published_linear: Path) -> ModelRegistry:
    """A registry of its own for each test, with a model that was published once."""
    shutil.copytree(published_linear, registry.folder)
    return registry


def publish_linear(registry: ModelRegistry) -> None:
    """z = 2x + y."""
    publish(registry, "linear", SCHEMA, rows(), Linear(2, 1))


def settings_in(folder: Path, redis_url: str, prefix: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        key_prefix=prefix,
        registry_dir=folder / "registry",
        data_dir=folder / "data",
        ack_timeout_ms=5000,
    )


@pytest.fixture
def settings(redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    return settings_in(tmp_path, redis_url, prefix)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The app, and a client that holds every answer against the OpenAPI document."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    root = app.state.parts.settings.root_path

    async def check(answer: httpx.Response) -> None:
        await document_of(app).check(answer, root)

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://localhost", event_hooks={"response": [check]}
        ) as http,
    ):
        yield http


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The app with Redis connected."""
    app = create_app(settings)
    async with running(app) as http:
        await until(lambda: app.state.parts.publisher.connected)
        yield http


async def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    with anyio.fail_after(seconds):
        while True:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return
            await anyio.sleep(0.01)


@contextlib.contextmanager
def api_process(
    settings: Settings, folder: Path, *, redis: str = "connected"
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real server process, and its address."""
    port = processes.free_port(18000 + os.getpid() % 1000)
    environment = {**os.environ, **deployment.environment(settings)}
    command = [sys.executable, "-m", "driftgauge", "serve", "--port", str(port)]
    log = folder / "api.log"
    process = processes.start(command, log, environment)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, headers=authorization(settings), trust_env=False) as http:
            processes.wait_until(lambda: _redis_is(http, redis), process, "The API", log)
        yield url, process
    finally:
        processes.stop(process)


@pytest.fixture
def api(settings: Settings, tmp_path: Path) -> Iterator[str]:
    with api_process(settings, tmp_path) as (url, _):
        yield url


def _redis_is(http: httpx.Client, state: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return bool(http.get("/health").json()["redis"] == state)
    return False
