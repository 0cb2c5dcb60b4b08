"""Drift of the target: when it is judged, how severe it is, and that it collides with nothing."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.judging.evaluating.budget import levels
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.evaluating.psi_threshold import threshold
from driftgauge.consumer.judging.labelled.performance import Labelled
from driftgauge.consumer.judging.labelled.target import Target
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.reports.column_numbers import numbers_of
from driftgauge.consumer.judging.reports.column_report import with_numbers
from driftgauge.consumer.judging.rules.findings import is_of_reference
from driftgauge.consumer.judging.windows.labelled import LabelledWindow, Span
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.pane import NewReference, Revised, pack_changes, unpack_counts
from driftgauge.shared.contract.snapshot import FeatureReport, Snapshot
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.calibration import Calibration, FeatureCalibration, Timeline
from driftgauge.shared.reference.profile import PREDICTION
from driftgauge.shared.reference.schema import Feature, Schema
from tests.consumer.judging.labels import LABELS, VERSION, LabelledStream, judge_labels

POLICY = JudgingPolicy()


def stream(seed: int = 0) -> LabelledStream:
    return LabelledStream(np.random.default_rng(seed))


def relabelled(made: LabelledStream, place: int, share: float) -> None:
    """Let a share of a pane's rows be `yes` in truth."""
    rows = made.rows[place]
    rows.labels[: int(share * len(rows.labels))] = ["yes"] * int(share * len(rows.labels))


def drifting(share: float, panes: int = 16) -> LabelledStream:
    """Return calm panes with their labels, and as many in which more is `yes` in truth."""
    made = stream(1).panes(8).label(range(1, 9))
    for place in range(9, 9 + panes):
        made.panes(1)
        relabelled(made, place, share)
        made.label([place])
    return made


def target_alerts(alerts: list[Alert]) -> list[Alert]:
    return [alert for alert in alerts if alert.feature == "label"]


def shown(snapshot: Snapshot) -> FeatureReport:
    assert snapshot.performance is not None
    assert snapshot.performance.target is not None
    return snapshot.performance.target


def test_other_labels_are_a_warning_that_says_which() -> None:
    """Labels that are far more often `yes` fire as a warning of the column `label`, by PSI, with
    the cells it comes from.
    """
    outputs, _ = judge_labels(drifting(0.7).entries)
    found = target_alerts(outputs.alerts)
    assert {alert.rule for alert in found} == {"psi"}
    assert {alert.severity for alert in found} == {"warning"}
    firing = next(alert for alert in found if alert.state == "firing")
    assert {cell.label for cell in firing.evidence.cells} == {"no", "yes"}
    assert firing.evidence.n == 4000
    report = shown(outputs.current["1.0.0"])
    assert (report.severity, report.name, report.kind) == ("warning", "label", "categorical")
    psi = next(one for one in report.statistics if one.name == "psi")
    assert psi.value is not None
    assert psi.warning is not None
    assert psi.value > psi.warning
    assert outputs.current["1.0.0"].severity in {"warning", "critical"}


def test_calm_labels_say_nothing() -> None:
    """Without change no alert comes, and the report says that it was judged."""
    outputs, _ = judge_labels(drifting(0.0).entries)
    assert target_alerts(outputs.alerts) == []
    report = shown(outputs.current["1.0.0"])
    assert report.severity == "ok"
    assert next(one.warning for one in report.statistics if one.name == "psi") is not None


def test_labels_without_a_pane_settle_it() -> None:
    """Labels that come long after their panes, and no pane with them, fire it all the same."""
    made = stream(2).panes(12)
    for place in range(1, 13):
        relabelled(made, place, 0.8)
    for place in range(1, 13):
        made.label([place])
    outputs, _ = judge_labels(made.entries)
    assert "firing" in {alert.state for alert in target_alerts(outputs.alerts)}


def test_any_cut_gives_the_same() -> None:
    """However the panes are cut into steps, through checkpoints: the same transitions and the same
    bytes.
    """
    entries = drifting(0.7).entries
    whole, fields = judge_labels(entries)
    for cuts in ([5], range(1, len(entries), 3)):
        parts, other = judge_labels(entries, cuts=cuts)
        assert parts.alerts == whole.alerts
        assert other == fields


def test_corrections_take_the_old_label_away() -> None:
    """Labels that are all corrected leave the window as if they had been right at once."""
    made = stream(3).panes(4).label(range(1, 5))
    for place in range(1, 5):
        rows = made.rows[place]
        changed = np.zeros(len(LABELS.counts), np.int64)
        for label in rows.labels:
            changed[LABELS.cells([label])[0]] -= 1
            changed[LABELS.cells(["yes"])[0]] += 1
        rows.labels[:] = ["yes"] * len(rows.labels)
        made.revise([Revised(place, "1.0.0", 0, 250, b"", b"", pack_changes(changed))])
    outputs, fields = judge_labels(made.entries)
    spans = [
        msgspec.msgpack.decode(packed, type=Span)
        for name, packed in fields.items()
        if name.startswith(b"span:")
    ]
    total = np.sum([unpack_counts(span.labels) for span in spans], axis=0)
    assert (
        total.tolist()
        == np.bincount(LABELS.cells(["yes"] * 1000), minlength=len(LABELS.counts)).tolist()
    )
    picture = shown(outputs.current["1.0.0"]).histogram
    assert dict(zip(picture.labels or [], picture.window, strict=True)) == {"no": 0.0, "yes": 1.0}


def window(*counts: int) -> LabelledWindow:
    return LabelledWindow(labelled=sum(counts), labels=np.array([*counts, 0, 0, 0]))


def judged(
    found: LabelledWindow, version: JudgedVersion = VERSION, policy: JudgingPolicy = POLICY
) -> Target:
    assert version.baselines is not None
    level = levels(policy, 100_000, version.judged_columns)
    target = Target.of(version, Labelled(found, version.baselines, level, policy))
    assert target is not None
    return target


def test_too_few_labels_are_not_judged() -> None:
    """Below the least rows of a window nothing is said, and why is shown; never PSI of a handful of
    labels.
    """
    few = judged(window(10, 480))
    assert list(few.readings()) == []
    assert (few.draft().severity, few.draft().reason) == (
        "insufficient_data",
        "490 of 500 labelled predictions",
    )
    assert judged(LabelledWindow()).draft().severity == "insufficient_data"
    assert list(judged(window(20, 480)).readings())


def test_the_labels_are_one_column_more_in_the_budget() -> None:
    """The level of PSI is shared among the features, the prediction and the labels; the threshold
    is that of any column.
    """
    assert VERSION.judged_columns == len(VERSION.watched) + 1
    target = judged(window(900, 1100))
    found = levels(POLICY, 100_000, len(VERSION.watched) + 1)
    level = found.psi
    assert found.target == pytest.approx(level * (1 - POLICY.late_share))  # past days have the rest
    assert target.threshold == threshold(0.1, found.target, 2, 4000, 2000)
    outputs, _ = judge_labels(stream(4).panes(8).label(range(1, 9)).entries)
    shown_level = next(one for one in outputs.current["1.0.0"].levels if one.rule == "psi")
    assert shown_level.significance == pytest.approx(level)


def test_it_is_only_shown_where_the_prediction_is_ordered_in_time() -> None:
    """Labels of an ordered process come in rows, so that no closed form holds: they are shown,
    saying why.
    """
    names = [column.name for column in VERSION.reference.columns]
    features = tuple(
        FeatureCalibration(name, "ordered" if name == PREDICTION else "exchangeable")
        for name in names
    )
    timeline = Timeline.of(
        17_000, np.ones((7, 3), np.int64), (1, 1, 1), (0.0, 0.0, 0.9), ("", "", "")
    )
    ordered = replace(VERSION, calibration=Calibration(features, timeline))
    assert ordered.judged_columns == len(VERSION.watched)
    target = judged(window(10, 1990), ordered)
    assert list(target.readings()) == []
    numbers = numbers_of(target.reference, target.counts.window[None])[0]
    report = with_numbers(target.draft(), numbers)
    assert report.severity == "excluded"
    assert "ordered in time" in report.reason
    assert next(one for one in report.statistics if one.name == "psi").value is not None


def test_the_classic_policy_has_its_own_rule() -> None:
    """With the classic policy the plain limit holds, under the name of its rule."""
    target = judged(window(300, 1700), policy=replace(POLICY, kind="classic"))
    ((rule, reading, evidence),) = target.readings()
    assert (rule, reading.severity, evidence.threshold) == ("classic.psi", "warning", 0.1)


def test_no_feature_can_have_its_name() -> None:
    """A feature named as the labels' column would share its alerts: the schema refuses it, as it
    does the prediction's.
    """
    for name in ("label", "prediction"):
        with pytest.raises(BadData, match=f"cannot be named '{name}'.*rename or exclude"):
            Schema((Feature(name, "numeric"),))


def test_a_new_reference_does_not_end_it() -> None:
    """Labels are held against the registered reference always: accepting another one ends no alert
    of theirs.
    """
    assert not is_of_reference("psi", "label")
    assert is_of_reference("psi", "x")
    made = drifting(0.7)
    total = 250 * len(made.rows)
    change = NewReference(
        0, made.now + 1, total, "1.0.0", 1, 0, "eve", "the new normal", undo=False
    )
    made.entries.append((f"{len(made.rows)}-9", change))
    outputs, _ = judge_labels(made.entries)
    assert target_alerts(outputs.alerts)[-1].state == "firing"
