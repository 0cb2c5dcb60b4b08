"""A real deployment with models of its own, and how tests post traffic to it and wait for what
comes of it.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import joblib
import msgspec
import numpy as np
import pandas as pd
import redis

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.local import processes
from driftgauge.shared.local.deployment import Deployment
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion, new_manifest
from driftgauge.shared.settings import Settings
from tests.producer.linear import Linear

MODEL = "plant"
"""Has features of each kind, one of them excluded; its predictions are posted (POST /events)."""
SERVED = "linear"
"""Predicts here (POST /predict): z = 2x + y."""
SCHEMA = Schema(
    (
        Feature("temperature", "numeric"),
        Feature("pressure", "numeric"),
        Feature("line", "categorical"),
        Feature("serial", "numeric", excluded="identifies the row"),
    ),
    prediction="numeric",
)
REFERENCE_ROWS = 4000
PANE = 100
STEP_MS = 500
DAY_MS = 86_400_000
FAST: dict[str, Any] = {
    "commit_ms": 50,
    "pane_events": PANE,
    "window_events": 600,
    "min_window_rows": 300,
    "snapshot_events": 600,
    "expected_events_per_day": 100_000,
    "silent_after_seconds": 0,
    "blind_worker_seconds": 60,
}


def rows(seed: int, number: int, shift: float = 0.0) -> pd.DataFrame:
    """Make rows of the plant; `shift` is added to the temperature, in standard deviations."""
    random = np.random.default_rng(seed)
    temperature = random.normal(20, 5, number)
    return pd.DataFrame(
        {
            "temperature": np.round(temperature + 5 * shift, 6),
            "pressure": np.round(random.gamma(4, 0.5, number), 6),
            "line": random.choice(["north", "south", "west"], number, p=[0.5, 0.3, 0.2]),
            "serial": np.arange(number, dtype=float),
        }
    )


def predicted(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    return np.round(3 * frame["temperature"].to_numpy() + 10 * frame["pressure"].to_numpy(), 6)


REFERENCE = rows(0, REFERENCE_ROWS)


def register(
    registry: ModelRegistry,
    name: str,
    schema: Schema,
    frame: pd.DataFrame,
    predictions: np.ndarray[Any, Any],
    estimator: Any = None,
) -> None:
    """Register the next version of a model, and put it into production."""
    reference = build_profile(schema, columns_of(frame, schema), predictions)
    manifest = new_manifest(
        name, registry.next_version(name), "regression" if estimator else "monitor"
    )
    artifact = None
    if estimator is not None:
        artifact = registry.folder / f"{name}.joblib"
        registry.folder.mkdir(parents=True, exist_ok=True)
        joblib.dump(estimator, artifact)
    registry.register(PublishedVersion(manifest, schema, reference), artifact)
    registry.promote(name, manifest.version, "production", actor="test")


class Plant:
    """The deployment."""

    def __init__(self, folder: Path) -> None:
        registry = ModelRegistry(folder / "registry")
        register(registry, MODEL, SCHEMA, REFERENCE, predicted(REFERENCE))
        x = pd.DataFrame(np.random.default_rng(1).normal(size=(2000, 2)), columns=["x", "y"])
        linear = Schema(
            (Feature("x", "numeric", minimum=-100, maximum=100), Feature("y", "numeric")),
            target="z",
        )
        z = 2 * x["x"].to_numpy() + x["y"].to_numpy()
        for _ in range(2):
            register(registry, SERVED, linear, x, z, Linear(2, 1))
        settings = Settings(
            registry_dir=registry.folder,
            data_dir=folder / "data",
            port=18_800,
            default_model=SERVED,
            **FAST,
        )
        self.deployment = Deployment(settings)
        self.keys = Keys(settings.key_prefix)
        self.posted: dict[str, list[pd.DataFrame]] = {MODEL: []}
        self._clock = (
            int(time.time() * 1000) // DAY_MS * DAY_MS - DAY_MS + 4 * 3_600_000
        )  # a pane closes at midnight too

    def start(self) -> None:
        self.deployment.__enter__()
        self.redis: redis.Redis = connect(self.deployment.settings.redis_url)

    def stop(self) -> None:
        self.redis.close()
        self.deployment.__exit__(None, None, None)

    def stop_api(self) -> None:
        processes.stop(self.deployment.api)

    def start_api(self) -> None:
        """Start the API again, at the same address."""
        deployment = self.deployment
        deployment._start("serve")
        processes.wait_until(
            deployment._api_answers, deployment.api, "The API", deployment._log("serve")
        )

    def frame(self, model: str = MODEL) -> pd.DataFrame:
        """Return all rows that were posted, in order."""
        return pd.concat(self.posted[model], ignore_index=True)

    @property
    def url(self) -> str:
        return self.deployment.url

    def post(self, frame: pd.DataFrame, model: str = MODEL) -> None:
        """Post rows as events, half a second of logical time apart."""
        events = []
        for row, prediction in zip(
            frame.to_dict("records"), predicted(frame).tolist(), strict=True
        ):
            self._clock += STEP_MS
            events.append(
                {"model": model, "features": row, "prediction": prediction, "time": self._clock}
            )
        answer = httpx.post(f"{self.url}/events", json=events, timeout=60)
        assert answer.status_code in (200, 202), answer.text
        self.posted.setdefault(model, []).append(frame)

    def events(self, model: str = MODEL) -> int:
        """How many events were posted."""
        return sum(map(len, self.posted.get(model, [])))

    def judged(self, model: str = MODEL) -> Snapshot:
        """Wait until every full pane of what was posted was judged, and give the current window."""
        whole = self.events(model) // PANE * PANE
        return wait_for(lambda: self._current(model, whole), f"{whole} judged events of {model}")

    def _current(self, model: str, events: int) -> Snapshot | None:
        found: Any = self.redis.hvals(self.keys.current(model))
        windows = [msgspec.json.decode(packed, type=Snapshot) for packed in found]
        return next((window for window in windows if window.window.events >= events), None)


def wait_for(true: Callable[[], Any], what: str, seconds: float = 100) -> Any:
    """Poll until something is true, and give it."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)
    return found
