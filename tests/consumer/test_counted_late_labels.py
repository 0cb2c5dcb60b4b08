"""A file of labels that comes after all predictions, through counting and judging: read forwards or
backwards, it tells the same of the days.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.events import Label, Prediction, encode
from driftgauge.shared.wording.times import days_named
from tests.consumer.builders import NOON
from tests.consumer.labelled_world import Run, Scored, Traffic, World

DAY_MS = 86_400_000
DAYS, PER_DAY = 8, 1000
FELL = (3, 4)


def world() -> World:
    random = np.random.default_rng(0)
    rows = 4000 + DAYS * PER_DAY
    values = random.normal(size=(rows, 2))
    noise = random.random(rows) < 0.1
    labels = np.where((values[:, 0] > 0) ^ noise, "yes", "no").tolist()
    frame = pd.DataFrame(values, columns=["x", "y"])
    return World.of(frame, labels, LogisticRegression(), fitted=1000, reference=3000)


def traffic(rows: Scored, order: str) -> Traffic:
    """A replayed file: predictions with the times of their days, then all their labels."""
    found = Traffic()
    places = np.arange(len(rows.labels))
    ways = {"forwards": places, "backwards": places[::-1]}
    for row in places.tolist():
        at = NOON + row // PER_DAY * DAY_MS + row % PER_DAY * 1000
        features = rows.features[row].tolist()
        event = Prediction(f"id{row}", "1.0.0", at, features, rows.predictions[row])
        _append(found, at, b"p", encode(event), None)
    last = NOON + DAYS * DAY_MS
    for number, row in enumerate(ways[order].tolist()):
        at = last + number
        _append(found, at, b"l", encode(Label(f"id{row}", rows.labels[row], at)), row)
    return found


def _append(found: Traffic, at: int, kind: bytes, payload: bytes, row: int | None) -> None:
    number = str(len(found.log) + 1).encode()
    fields = [b"t", kind, b"p", b"api", b"s", number, b"e", payload]
    found.log.append((f"{at}-{number.decode()}".encode(), fields))
    found.row_of.append(row)
    found.labels.append("")


def accuracy_alerts(order: str) -> list[Alert]:
    made = world()
    random = np.random.default_rng(1)
    rows = made.stream()
    for row in range(FELL[0] * PER_DAY, (FELL[-1] + 1) * PER_DAY):
        if random.random() < 0.2:
            rows.labels[row] = "no" if rows.labels[row] == "yes" else "yes"
    run = Run(made)
    run.take(traffic(rows, order), chunks=40)
    assert run.current is not None
    (active,) = [one for one in run.current.alerts if one.rule == "performance.accuracy"]
    start = (NOON // DAY_MS + FELL[0]) * DAY_MS
    assert active.started == start
    assert days_named(start, start + DAY_MS) in active.summary
    return [one for one in run.alerts if one.rule == "performance.accuracy" and one.notify]


@pytest.mark.parametrize("order", ["forwards", "backwards"])
def test_a_file_of_labels_tells_the_same_read_backwards(order: str) -> None:
    """The fall of two days is told once, in the alert of the accuracy, which begins on the first of
    them; people hear of it in either order.
    """
    told = accuracy_alerts(order)
    assert [(one.state, one.severity) for one in told] == [("firing", "critical")]
