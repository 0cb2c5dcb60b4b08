"""Snapshots, alerts and reports as judging would write them."""

from typing import Any

import msgspec
import redis

from driftgauge.shared.contract.alert import Alert, AlertEvidence
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.incident import Incident, IncidentCause
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import (
    ActiveAlert,
    FeatureReport,
    Histogram,
    MetricReport,
    Performance,
    Share,
    Snapshot,
    Statistic,
    Window,
)
from driftgauge.shared.contract.snapshot_parts import Brief
from driftgauge.shared.metrics.figures import Figures

MODEL = "plant"


def feature(
    name: str, psi: float | None = 0.02, severity: Any = "ok", **more: Any
) -> FeatureReport:
    quantiles = [float(place) for place in range(33)]
    statistics = [
        Statistic(
            "psi", psi, expected=0.005, warning=0.15, critical=0.3, note=more.pop("note", "")
        ),
        Statistic("ks", None if psi is None else psi / 2, p_value=0.5),
    ]
    given: dict[str, Any] = {
        "kind": "numeric",
        "reason": "",
        "statistics": statistics,
        "shares": [Share("missing", 0.0, 0.01)],
        "histogram": Histogram([0.0, 1.0, 2.0], None, [0.5, 0.5], [0.4, 0.6]),
        "reference_quantiles": quantiles,
        "window_quantiles": quantiles,
    }
    return FeatureReport(name=name, severity=severity, **{**given, **more})


def snapshot(created: int, features: list[FeatureReport] | None = None, **more: Any) -> Snapshot:
    given: dict[str, Any] = {
        "id": f"s{created}",
        "model": MODEL,
        "version": "1.0.0",
        "trigger": "schedule",
        "severity": "ok",
        "verdict": "All is well.",
        "window": Window(0, created, 2000, 8, 12_345),
        "reference_rows": 5000,
        "prediction": feature("prediction"),
        "alerts": [],
        "events_per_day": 1.0,
    }
    return Snapshot(
        created=created,
        features=[feature("x")] if features is None else features,
        **{**given, **more},
    )


def incident(model: str, number: int, severity: Any = "critical", **more: Any) -> Incident:
    """Make an open incident that began at a time (ms)."""
    given: dict[str, Any] = {
        "kind": "model",
        "state": "open",
        "number": 1,
        "change": "opened",
        "notify": True,
        "headline": f"Since {number}: x of {model} is too high",
        "action": "fix_feed",
        "advice": "Check that sensor.",
        "cause": IncidentCause("feature", f"{number:016x}", "x", "psi"),
        "earliest": number,
        "latest": number,
        "opened": number,
        "updated": number,
        "ended": None,
        "features": ["x"],
        "of_features": 1,
        "effect": "",
        "alerts": [],
        "of_alerts": 0,
    }
    return Incident(
        id=f"{number:016x}",
        model=model,
        version="1.0.0",
        severity=severity,
        since=number,
        **{**given, **more},
    )


def performance(value: float) -> Performance:
    metric = MetricReport(
        "rmse",
        value,
        value - 0.1,
        value + 0.1,
        0.0,
        500,
        baseline=1.0,
        change=-0.2,
        severity="critical",
    )
    return Performance(
        severity="critical",
        reason="worse",
        start=0,
        end=1,
        predictions=600,
        labelled=500,
        coverage=0.8,
        corrected=0,
        delays_ms=[1, 2, 3],
        confidence=0.95,
        metrics=[metric],
        confusion=None,
        estimated=[],
        assumption="",
    )


def active(name: str, state: Any = "firing", severity: Any = "critical") -> ActiveAlert:
    return ActiveAlert(f"f-{name}", name, "psi", severity, state, 1000, f"PSI of {name} is high")


def alert(number: int, model: str = MODEL) -> Alert:
    evidence = AlertEvidence("psi", 0.5, 0.2, 0.01, 5000, 2000, number, 0, 1)
    return Alert(
        fingerprint=f"{number:016x}",
        model=model,
        version="1.0.0",
        feature="x",
        rule="psi",
        severity="critical",
        state="firing",
        summary="high",
        evidence=evidence,
        started=number,
        updated=number,
        ended=None,
        snapshot="",
    )


class Judging:
    """Writes what judging writes."""

    def __init__(self, client: redis.Redis, keys: Keys, model: str = MODEL) -> None:
        self.client, self.keys, self.model = client, keys, model
        client.sadd(keys.models, model)

    def current(self, window: Snapshot) -> None:
        for key, packed in (
            (self.keys.current(self.model), msgspec.json.encode(window)),
            (self.keys.brief(self.model), msgspec.json.encode(Brief.of(window))),
            (self.keys.figures(self.model), msgspec.json.encode(Figures.of(window, 200, 100))),
        ):
            self.client.hset(key, window.version, packed)

    def report(self, window: Snapshot) -> None:
        self.client.xadd(self.keys.snapshots(self.model), {"e": cloud_event(window)})

    def alert(self, number: int) -> None:
        self.client.xadd(
            self.keys.alerts(self.model), {"e": cloud_event(alert(number, self.model))}
        )
