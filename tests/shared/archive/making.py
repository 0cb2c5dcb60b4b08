"""Archives for tests, written as the worker writes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from driftgauge.consumer.stages.archiving.incidents import columns_of
from driftgauge.shared.archive.columns import HISTOGRAMS, INCIDENTS
from driftgauge.shared.archive.rows import EVENTS, Refused, Rows
from driftgauge.shared.archive.store import Store
from driftgauge.shared.archive.writing import write_groups
from driftgauge.shared.contract.events import Label, Prediction
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema

MODEL = "plant"
NOON = 1_763_640_000_000
"""2025-11-20 12:00 UTC, in ms."""
DAY_MS = 86_400_000
SCHEMA = Schema(
    (Feature("x", "numeric", nullable=True), Feature("city", "categorical", nullable=True)),
    "numeric",
)


def prediction(place: int, time_ms: int = NOON, **more: Any) -> Prediction:
    """Make a prediction whose id is its place."""
    given = {
        "id": f"id{place}",
        "version": "1.0.0",
        "time": time_ms,
        "features": [float(place), "north"],
        "prediction": place / 2,
        **more,
    }
    return Prediction(**given)


def refused(place: int, reason: str = "why", **more: Any) -> Refused:
    """Make an event that was refused, whose id is its place."""
    text = f'{{"id":"id{place}"}}'
    given = {"id": f"id{place}", "version": None, "kind": "prediction", "reason": reason}
    given |= {"text": text, "bytes": len(text), "publisher": "api", **more}
    return Refused(**given)


def write(
    store: Store,
    start: int,
    predictions: Sequence[Prediction] = (),
    labels: Sequence[Label] = (),
    schema: Schema = SCHEMA,
    partition: int = 0,
    refused: Sequence[Refused] = (),
    first_ms: int = 0,
) -> None:
    """Archive a cut: its entries have the ids `start+1-0`, `start+2-0` and so on, but those that
    were refused have the times from `first_ms` on.
    """
    rows = Rows(partition)
    last = start + len(predictions)
    none = np.zeros(len(predictions), np.int64)
    if predictions:
        rows.add_predictions(schema, predictions, np.arange(start, last) + 1, none)
    if labels:
        ms = np.arange(last, last + len(labels)) + 1
        rows.add_labels(labels, ms, np.zeros(len(labels), np.int64))
    end = last + len(labels)
    if refused:
        rows.add_refused(
            refused, np.arange(len(refused)) + first_ms, np.zeros(len(refused), np.int64)
        )
        end += len(refused)
    write_groups(store, MODEL, partition, (f"{start}-0", f"{end}-0"), rows.groups(), lambda: None)


def write_incidents(store: Store, incidents: Sequence[Incident], start: int = 0) -> None:
    """Archive transitions of incidents, whose entries have the ids `start+1-0` and so on."""
    rows, number = Rows(0), len(incidents)
    ms, none = np.arange(number) + start + 1, np.zeros(number, np.int64)
    rows.add("incidents", EVENTS, INCIDENTS, columns_of(incidents), ms, none)
    span = (f"{start}-0", f"{start + number}-0")
    write_groups(store, MODEL, 0, span, rows.groups(), lambda: None)


def write_panes(store: Store, numbers: Sequence[int], cells: int = 3) -> None:
    """Archive panes of one column with some cells, whose numbers follow each other."""
    rows, none = Rows(0), np.zeros(len(numbers), np.int64)
    counts = [[number, 0, *[7] * (cells - 2)] for number in numbers]
    given = {
        "pane": list(numbers),
        "time": [NOON + number for number in numbers],
        "closed": [NOON + number + 1 for number in numbers],
        "version": ["1.0.0"] * len(numbers),
        "reference": [0] * len(numbers),
        "feature": ["x"] * len(numbers),
        "rows": [sum(one) for one in counts],
        "counts": counts,
    }
    rows.add("panes", "1.0.0-r0", HISTOGRAMS, given, none, none)
    span = (f"{numbers[0] - 1}-0", f"{numbers[-1]}-0")
    write_groups(store, MODEL, 0, span, rows.groups(), lambda: None)
