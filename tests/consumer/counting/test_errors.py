"""The e-detector on errors: a collapse is found after some dozens of labels, in the same place however the log is cut."""

import numpy as np
import pytest

from consumer.counting.cells import CellMap
from consumer.counting.policy import CountingPolicy
from shared.pane import Alarm, Delta
from shared.performance import Layout, PerformanceReference
from tests.consumer.builders import NOON, SCHEMA, published, tick
from tests.consumer.counting import test_labels
from tests.consumer.counting.test_labels import counted, label, said

POLICY = CountingPolicy(pane_events=20, pane_seconds=600, label_wait_days=1)


def labelled_version(error: float) -> CellMap:
    """Give the mixed model, whose reference has errors of a size."""
    random = np.random.default_rng(3)
    predictions = random.normal(size=2000)
    labels = predictions + random.normal(0, error, 2000)
    performance = PerformanceReference.of(Layout("numeric"), predictions, labels)
    return CellMap(SCHEMA, published(rows=300).reference, labels=True, performance=performance)


def log(errors: list[float]) -> list[test_labels.Entry]:
    """Make predictions whose labels come at once, off by given errors; ticks between."""
    found, number = [], 0
    for row, error in enumerate(errors):
        ms = NOON + row * 200
        number += 2
        found += [said(ms, number - 1, f"id{row}"), label(ms + 50, number, f"id{row}", 0.5 + error)]
        if row % 50 == 49:
            found.append(tick(ms + 100, number))
    return found


def alarms(store: test_labels.Store) -> list[Alarm]:
    return [entry for _, _, entry in store.panes if isinstance(entry, Alarm) and entry.detector == "performance.e_detector"]


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> CellMap:
    made = labelled_version(error=1.0)
    monkeypatch.setattr(test_labels, "VERSIONS", {"1.0.0": made})
    return made


@pytest.mark.usefixtures("version")
def test_a_collapse_is_found_soon_and_nothing_before() -> None:
    """While errors are as the reference's there is no alarm; when they double there is, within 400 labels."""
    random = np.random.default_rng(0)
    usual, doubled = random.normal(0, 1, 1500), random.normal(0, 2, 400)
    assert alarms(counted(log(usual.tolist()), policy=POLICY)) == []
    found = alarms(counted(log([*usual.tolist(), *doubled.tolist()]), policy=POLICY))
    assert found
    assert found[0].column == ""
    assert found[0].total > 1500
    assert "the errors changed" in found[0].effect


@pytest.mark.usefixtures("version")
def test_the_cut_of_the_log_changes_no_alarm() -> None:
    """However the log is cut, through checkpoints, the same alarms stand in the same places."""
    random = np.random.default_rng(1)
    entries = log([*random.normal(0, 1, 300).tolist(), *random.normal(0, 3, 200).tolist()])
    whole = counted(entries, policy=POLICY)
    assert alarms(whole)
    for cuts in ([100], [1, 333, 700], range(40, 1000, 40)):
        parts = counted(entries, cuts, POLICY)
        assert parts.panes == whole.panes
        assert parts.fields == whole.fields


@pytest.mark.usefixtures("version")
def test_corrections_are_not_seen_twice() -> None:
    """A label that replaces another one is no new error."""
    random = np.random.default_rng(2)
    entries = log(random.normal(0, 1, 200).tolist())
    again = [label(NOON + 100_000 + row, 1000 + row, f"id{row}", 9.0) for row in range(150)]
    store = counted([*entries, *again, tick(NOON + 200_000, 1)], policy=POLICY)
    assert sum(one.corrected for entry in store.panes if isinstance(entry[2], Delta) for one in entry[2].revised) == 150
    assert alarms(store) == []


def test_versions_without_labelled_reference_have_no_detector() -> None:
    """Without reference errors there is nothing to hold errors against."""
    bare = CellMap(SCHEMA, published(rows=300).reference, labels=True)
    assert bare.errors is None
