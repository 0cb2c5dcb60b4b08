"""A file of labels that comes after all predictions, through counting and judging: read forwards or
backwards, it tells the same of the days.
"""

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from driftgauge.shared.contract.events import Label, Prediction, encode
from driftgauge.shared.wording.times import days_named
from tests.consumer.builders import NOON
from tests.consumer.labelled_world import Run, Scored, Traffic, World

DAY_MS = 86_400_000
DAYS, PER_DAY = 8, 1000
FELL = (3, 4)
REGIONS = ("north", "south", "east")
WAYS = ("forwards", "backwards")


def world() -> World:
    random = np.random.default_rng(0)
    rows = 4000 + DAYS * PER_DAY
    values = random.normal(size=(rows, 2))
    noise = random.random(rows) < 0.1
    labels = np.where((values[:, 0] > 0) ^ noise, "yes", "no").tolist()
    frame = pd.DataFrame(values, columns=["x", "y"])
    groups = pd.DataFrame({"region": np.array(REGIONS)[random.integers(0, 3, rows)]})
    model = LogisticRegression()
    return World.of(frame, labels, model, fitted=1000, reference=3000, groups=groups)


@functools.cache
def made() -> World:
    return world()


def traffic(rows: Scored, order: str) -> Traffic:
    """A replayed file: predictions with the times of their days, then all their labels."""
    found = Traffic()
    places = np.arange(len(rows.labels))
    ways = {"forwards": places, "backwards": places[::-1]}
    for row in places.tolist():
        at = NOON + row // PER_DAY * DAY_MS + row % PER_DAY * 1000
        features = [*rows.features[row].tolist(), *(rows.groups[row] if rows.groups else ())]
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


def flipped(label: str) -> str:
    return "no" if label == "yes" else "yes"


def of_all(rows: Scored, row: int, chance: float) -> str:
    return flipped(rows.labels[row]) if chance < 0.2 else rows.labels[row]


def of_a_segment(rows: Scored, row: int, chance: float) -> str:
    bad = rows.groups[row] == ["south"] and chance < 0.3
    return flipped(rows.labels[row]) if bad else rows.labels[row]


def of_the_labels(rows: Scored, row: int, chance: float) -> str:
    return "yes" if chance < 0.6 else rows.labels[row]


def nothing(rows: Scored, row: int, _chance: float) -> str:
    return rows.labels[row]


@functools.cache
def run_of(change: Callable[[Scored, int, float], str], order: str) -> Run:
    random = np.random.default_rng(1)
    rows = made().stream()
    rows.labels = list(rows.labels)
    for row in range(FELL[0] * PER_DAY, (FELL[-1] + 1) * PER_DAY):
        rows.labels[row] = change(rows, row, random.random())
    run = Run(made())
    run.take(traffic(rows, order), chunks=40)
    assert run.current is not None
    return run


def standing(run: Run) -> dict[tuple[str, str, str], tuple[int, str]]:
    """Return when each open alert began, and what it says at last."""
    assert run.current is not None
    return {
        (one.rule, one.segment, one.feature): (one.started, one.summary)
        for one in run.current.alerts
    }


@pytest.mark.parametrize("order", WAYS)
def test_a_file_of_labels_tells_the_same_read_backwards(order: str) -> None:
    """The fall of two days is told once, in the alert of the accuracy, which begins on the first of
    them; people hear of it in either order.
    """
    run = run_of(of_all, order)
    start = (NOON // DAY_MS + FELL[0]) * DAY_MS
    began, summary = standing(run)["performance.accuracy", "", ""]
    assert began == start
    assert days_named(start, start + DAY_MS) in summary
    told = [one for one in run.alerts if one.rule == "performance.accuracy" and one.notify]
    assert [(one.state, one.severity) for one in told] == [("firing", "critical")]


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (of_a_segment, ("segment.performance", "region=south", "")),
        (of_the_labels, ("psi", "", "label")),
        (of_all, ("performance.f1_macro", "", "")),
    ],
)
def test_whatever_fell_is_told_of_the_same_days_in_both_orders(
    change: Callable[[Scored, int, float], str], expected: tuple[str, str, str]
) -> None:
    """The metrics, the segments and the labels themselves: the same alerts, of the same days, to
    the letter; the online detectors of errors say nothing of days that are over.
    """
    forwards, backwards = (standing(run_of(change, order)) for order in ("forwards", "backwards"))
    assert forwards == backwards
    start = (NOON // DAY_MS + FELL[0]) * DAY_MS
    began, summary = forwards[expected]
    assert began == start
    assert days_named(start, start + DAY_MS) in summary
    fired = [{one.fingerprint for one in run_of(change, order).alerts} for order in WAYS]
    assert fired[0] == fired[1]


def test_the_rows_of_a_past_fall_explain_it() -> None:
    """The segment that a past fall comes from is that of its days, not of what the window holds."""
    for order in WAYS:
        _, summary = standing(run_of(of_a_segment, order))["performance.accuracy", "", ""]
        assert "all of it in region=south" in summary


@pytest.mark.parametrize("order", WAYS)
def test_calm_days_are_calm_in_both_orders(order: str) -> None:
    """Labels of usual days raise nothing, of whatever kind."""
    assert run_of(nothing, order).alerts == []
