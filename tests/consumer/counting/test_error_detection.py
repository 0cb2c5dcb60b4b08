"""The detectors of errors: a collapse is found after some dozens of labels, in the same place
however the log is cut; what becomes better is no degradation.
"""

import re

import numpy as np
import pytest

from driftgauge.consumer.counting.clock import DAY_MS
from driftgauge.consumer.counting.detectors import ERROR_DETECTORS
from driftgauge.consumer.counting.error_detection import _size
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.shared.contract.pane import Alarm, Delta
from driftgauge.shared.performance import Layout, PerformanceReference
from driftgauge.shared.reference.profile import NumericReference
from tests.consumer.builders import NOON, SCHEMA, published, tick
from tests.consumer.counting import test_join as test_labels
from tests.consumer.counting.test_join import counted, label, said

POLICY = CountingPolicy(pane_events=20, pane_seconds=600, label_wait_days=1)


def labelled_version(error: float) -> CellMap:
    """Return the mixed model, whose reference has errors of a size."""
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


def alarms(store: test_labels.Store, prefix: str = "performance.") -> list[Alarm]:
    return [
        entry
        for _, _, entry in store.panes
        if isinstance(entry, Alarm) and entry.detector.startswith(prefix)
    ]


def deltas(store: test_labels.Store) -> list[Delta]:
    return [entry for _, _, entry in store.panes if isinstance(entry, Delta)]


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> CellMap:
    made = labelled_version(error=1.0)
    monkeypatch.setattr(test_labels, "VERSIONS", {"1.0.0": made})
    return made


@pytest.mark.usefixtures("version")
def test_a_collapse_is_found_soon_and_nothing_before() -> None:
    """While errors are as the reference's there is no alarm; when they double there is, within 400
    labels, of every detector that is named.
    """
    random = np.random.default_rng(0)
    usual, doubled = random.normal(0, 1, 1500), random.normal(0, 2, 400)
    assert alarms(counted(log(usual.tolist()), policy=POLICY)) == []
    found = alarms(counted(log([*usual.tolist(), *doubled.tolist()]), policy=POLICY))
    assert found
    assert found[0].column == ""
    assert found[0].total > 1500
    assert {alarm.detector for alarm in found} == {
        "performance.e_detector",
        "performance.adwin",
        "performance.ddm",
    }
    assert all(alarm.effect.startswith("the errors grew: ") for alarm in found)
    # of N(0, 2) as many are larger than the median of N(0, 1): .74
    assert re.search(r": (6|7)\d\.\d % of the errors are larger than usual", found[0].effect)


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize("age_days", [0, 2])
@pytest.mark.parametrize("step", [1, -1])
def test_errors_of_past_days_are_no_news(age_days: int, step: int) -> None:
    """A file of labels, read forwards or backwards: large errors of the last predictions are told
    of, those of predictions that are days old are not, since they say nothing of now. Their days
    tell of them (judging).
    """
    errors = np.random.default_rng(5).normal(0, 3, 400).tolist()
    entries = [said(NOON + row * 200, row + 1, f"id{row}") for row in range(400)]
    later = NOON + age_days * DAY_MS + 100_000
    entries += [said(later, 401, "now"), tick(later + 50, 401)]
    for place, row in enumerate(range(400)[::step]):
        at = later + 100 + place
        entries.append(label(at, 500 + place, f"id{row}", 0.5 + errors[row]))
    entries.append(tick(later + 10_000, 900))
    policy = CountingPolicy(pane_events=20, pane_seconds=600, label_wait_days=7)
    store = counted(entries, policy=policy)
    assert sum(one.labelled for delta in deltas(store) for one in delta.revised) == 400
    assert bool(alarms(store)) == (age_days == 0)


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
def test_smaller_errors_are_an_improvement() -> None:
    """Errors that fall to a third are told by another rule, which speaks of an improvement; DDM
    does not see them.
    """
    random = np.random.default_rng(4)
    errors = [*random.normal(0, 1, 600).tolist(), *random.normal(0, 1 / 3, 600).tolist()]
    store = counted(log(errors), policy=POLICY)
    assert alarms(store) == []
    found = alarms(store, "improvement.")
    assert {alarm.detector for alarm in found} == {"improvement.e_detector", "improvement.adwin"}
    assert all("fell, which is an improvement" in alarm.effect for alarm in found)


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize("names", [("adwin",), ("ddm",), ("integrity", "page_hinkley"), ()])
def test_only_named_detectors_run(names: tuple[str, ...]) -> None:
    """A detector that the setting does not name sees no errors; one of columns alone never does."""
    random = np.random.default_rng(0)
    policy = CountingPolicy(pane_events=20, pane_seconds=600, label_wait_days=1, detectors=names)
    store = counted(
        log([*random.normal(0, 1, 100).tolist(), *random.normal(0, 4, 500).tolist()]), policy=policy
    )
    known = [name for name in names if name in ERROR_DETECTORS]
    assert {alarm.detector for alarm in alarms(store)} == {f"performance.{name}" for name in known}
    assert {name for name in store.fields if name.startswith(b"errors:")} == {
        f"errors:{name}:1.0.0".encode() for name in known
    }


def test_the_share_of_a_class_is_exact() -> None:
    """The size that an alarm of a class states is the share of errors, whatever the reference's
    was.
    """
    for share in (0.05, 0.3, 0.8):
        errors = np.array([0.0] * round(1000 * (1 - share)) + [1.0] * round(1000 * share))
        cell_map = CellMap(
            SCHEMA,
            published(rows=300).reference,
            labels=True,
            performance=PerformanceReference(
                1000, {}, errors=NumericReference.build("error", errors)
            ),
        )
        assert cell_map.errors is not None
        new = np.array([0.0, 0.0, 0.0, 1.0])
        mean = float(cell_map.error_ranks[cell_map.errors.columns[0].cells(new)].mean())
        words = _size(mean, 4, cell_map.errors)
        assert words == f"25.0 % errors instead of {100 * share:.1f} % over 4 labels"


@pytest.mark.usefixtures("version")
def test_corrections_are_not_seen_twice() -> None:
    """A label that replaces another one is no new error."""
    random = np.random.default_rng(2)
    entries = log(random.normal(0, 1, 200).tolist())
    again = [label(NOON + 100_000 + row, 1000 + row, f"id{row}", 9.0) for row in range(150)]
    store = counted([*entries, *again, tick(NOON + 200_000, 1)], policy=POLICY)
    assert (
        sum(
            one.corrected
            for entry in store.panes
            if isinstance(entry[2], Delta)
            for one in entry[2].revised
        )
        == 150
    )
    assert alarms(store) == []


def test_versions_without_labelled_reference_have_no_detector() -> None:
    """Without reference errors there is nothing to hold errors against."""
    bare = CellMap(SCHEMA, published(rows=300).reference, labels=True)
    assert bare.errors is None
