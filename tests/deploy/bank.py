"""A deployment of its own whose model has everything that boards show: classes with probabilities,
segments, true values that come later; and traffic that drifts, and faults, when a test says so.
"""

from collections import deque
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import joblib
import numpy as np
import pandas as pd
import redis
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import processes
from driftgauge.shared.local.deployment import Deployment
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.consumer.notifying.sink import http_sink

MODEL = "loans"
FEATURES = ["income", "age", "region"]
TARGET = "default"
FIRST_PORT = 19_300
BATCH = 100
"""Events of one post, which is also a pane."""
LABELLED = 0.9
"""Share of the predictions whose true value comes."""
FAST: dict[str, Any] = {
    "commit_ms": 50,
    "pane_events": BATCH,
    "window_events": 600,
    "min_window_rows": 300,
    "snapshot_events": 600,
    "blind_worker_seconds": 1,
    "watchdog_seconds": 1,
    "queue_events": 300,
    "spool_max_bytes": 40_000,
}
"""Settings by which windows are soon full, faults are soon told, and a spool is soon full."""

ROUTES = """
[[routes]]
name = "on-call"
target = {{ type = "webhook", url = "{sink}/on-call" }}

[[routes]]
name = "nobody"
target = {{ type = "webhook", url = "http://127.0.0.1:9/nobody" }}
"""
"""A route whose target takes every message, and one whose target is not there."""


class Bank:
    """A context in which Redis, API and worker run, with one model of loans.

    Parameters
    ----------
    folder
        Its registry and data folder.
    """

    def __init__(self, folder: Path) -> None:
        self._random = np.random.default_rng(5)
        self._http = httpx.Client(timeout=60)
        self._later: deque[list[dict[str, Any]]] = deque()
        self._numbers = count()
        registry = ModelRegistry(folder / "registry")
        self._estimator = self._registered(registry, folder)
        self._settings = Settings(
            registry_dir=registry.folder,
            data_dir=folder / "data",
            archive_url=str(folder / "archive"),
            port=FIRST_PORT,
            policy_file=folder / "policy.toml",
            **FAST,
        )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            sink = self._stack.enter_context(http_sink())
            policy = ROUTES.format(sink=sink.address)
            (self._settings.data_dir.parent / "policy.toml").write_text(policy)
            reserved = processes.reserved_port(FIRST_PORT + 100, "127.0.0.1")
            port = self._stack.enter_context(reserved)
            settings = self._settings.model_copy(update={"worker_port": port})
            self.deployment = self._stack.enter_context(Deployment(settings))
            self._stack.enter_context(self._http)
            self.client: redis.Redis = connect(self.deployment.settings.redis_url)
            self._stack.callback(self.client.close)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def targets(self) -> dict[str, list[str]]:
        """Addresses (`host:port`) of API and worker, by the name of the job that scrapes them."""
        return {
            "driftgauge": [self.deployment.url.removeprefix("http://")],
            "driftgauge-worker": [f"127.0.0.1:{self.deployment.settings.worker_port}"],
        }

    def _registered(self, registry: ModelRegistry, folder: Path) -> Any:
        """Train a model, register it with its training rows, and put it into production."""
        frame = self._rows(4000)
        encoder = make_column_transformer((OneHotEncoder(), ["region"]), remainder="passthrough")
        estimator = make_pipeline(encoder, LogisticRegression(max_iter=1000))
        estimator.fit(frame[FEATURES], frame[TARGET])
        artifact, reference = folder / "loans.joblib", folder / "loans.csv"
        joblib.dump(estimator, artifact)
        frame.to_csv(reference, index=False)
        submission = Submission(
            MODEL,
            reference,
            artifact=artifact,
            target_column=TARGET,
            labels=True,
            segments=("region",),
        )
        _, made = register_version(registry, submission)
        registry.promote(MODEL, made.manifest.version, "production", actor="test")
        return estimator

    def _rows(self, number: int, shift: float = 0.0) -> pd.DataFrame:
        """Draw rows with their true value; with a shift incomes are larger, and say less."""
        income = self._random.normal(size=number)
        risk = (1 - shift) * 2 * income + self._random.logistic(size=number)
        regions = self._random.choice(["north", "south", "west"], number, p=[0.5, 0.3, 0.2])
        return pd.DataFrame(
            {
                "income": np.round(income + shift, 6),
                "age": np.round(self._random.gamma(9, 5, number), 6),
                "region": regions,
                TARGET: (risk > 0).astype(int),
            }
        )

    def post(self, shift: float = 0.0) -> None:
        """Post events, a few requests for predictions, and the true values of earlier events."""
        frame = self._rows(BATCH, shift)
        shares = self._estimator.predict_proba(frame[FEATURES]).tolist()
        rows = frame[FEATURES].to_dict("records")
        events = [
            {
                "id": f"loan-{next(self._numbers)}",
                "features": row,
                "prediction": int(one > none),
                "probabilities": [none, one],
                "latency_ms": 5 * one,
            }
            for row, (none, one) in zip(rows, shares, strict=True)
        ]
        for row in rows[:2]:
            self.send("/predict", {"features": row})
        self.send("/events", events)
        self._label(events, frame[TARGET].tolist())

    def _label(self, events: list[dict[str, Any]], values: list[int]) -> None:
        """Keep the true values of events, and post those of the batch before; one of them again."""
        self._later.append(
            [
                {"prediction_id": event["id"], "label": value}
                for event, value in zip(events, values, strict=True)
                if self._random.random() < LABELLED
            ]
        )
        if len(self._later) > 1:
            labels = self._later.popleft()
            self.send("/labels", [*labels, labels[0]])

    def send(self, path: str, body: object) -> None:
        """Post something of the model to the API."""
        answer = self._http.post(f"{self.deployment.url}{path}", params={"model": MODEL}, json=body)
        assert answer.status_code in {200, 202, 207, 422, 503}, answer.text

    @property
    def keys(self) -> Keys:
        """The names of its keys in Redis."""
        return Keys(self.deployment.settings.key_prefix)
