"""Performance in judging: what labels show is what pages; drift explains it; without labels there
is an estimate.
"""

import dataclasses
import re

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.consumer.judging.evaluating.budget import levels
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.labelled.performance import SHOWN_CONFIDENCE, Labelled, report
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.windows.labelled import LabelledWindow
from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.contract.pane import Alarm
from driftgauge.shared.contract.snapshot import Performance
from driftgauge.shared.performance import (
    Layout,
    Metric,
    PerformanceBaselines,
    PerformanceReference,
    Sums,
    metrics,
)
from tests.consumer.judging.labels import (
    ACCURACY,
    LAYOUT,
    PUBLISHED,
    SCHEMA,
    VERSION,
    LabelledStream,
    judge_labels,
)


def stream(seed: int = 0) -> LabelledStream:
    return LabelledStream(np.random.default_rng(seed))


def performance_of(
    of: LabelledStream, policy: JudgingPolicy | None = None, version: JudgedVersion = VERSION
) -> Performance:
    outputs, _ = judge_labels(of.entries, policy, version=version)
    found = outputs.current["1.0.0"].performance
    assert found is not None
    return found


def test_a_window_has_the_metrics_of_its_labelled_rows() -> None:
    """Metrics, confusion matrix, coverage and delays are those of the labels that came for the
    window's predictions.
    """
    made = stream().panes(4).label([1, 3], slice(0, 200)).label([2, 4], slice(0, 100), delay_s=6000)
    found = performance_of(made)
    expected = Sums.zero(LAYOUT)
    for place, size in ((1, 200), (3, 200), (2, 100), (4, 100)):
        expected += made.rows[place].sums(LAYOUT, slice(0, size))
    assert (found.predictions, found.labelled, found.coverage) == (1000, 600, 0.6)
    assert {one.name: one.value for one in found.metrics} == {
        name: metric.value for name, metric in metrics(expected, SHOWN_CONFIDENCE).items()
    }
    assert [one.name for one in found.metrics[:2]] == ["accuracy", "f1_macro"]
    assert found.confusion is not None
    assert found.confusion.matrix == expected.matrix[:2, :2].tolist()
    assert 60_000 <= found.delays_ms[0] <= 90_000
    assert 6_000_000 <= found.delays_ms[2] <= 9_000_000
    accuracy = found.metrics[0]
    assert accuracy.baseline == pytest.approx(ACCURACY, abs=0.02)
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert accuracy.low < ACCURACY < accuracy.high
    assert found.severity == "ok"


def test_the_first_metric_is_kept_for_a_day() -> None:
    """Each evaluation of the last 24 hours with labels is a point of the first metric, the latest
    one the metric of now; earlier ones are forgotten.
    """
    made = stream(4).panes(2).label([1, 2])
    made.now += 2 * DAY_MS
    made.panes(3).label([3, 4]).panes(1)
    found = performance_of(made)
    assert found.history[-1] == pytest.approx(found.metrics[0].value, rel=1e-3)
    assert len(found.history) == len(found.history_times) >= 2
    assert found.history_times == sorted(set(found.history_times))
    assert found.history_times[0] > made.now - DAY_MS


def test_flipped_labels_are_a_critical_performance_alert() -> None:
    """When one label in five is wrong, a performance alert fires with its baseline, and no drift
    alert does.
    """
    made = (
        stream(1)
        .panes(8)
        .label(range(1, 9))
        .panes(8, wrong=0.36)
        .label(range(9, 13))
        .label(range(13, 17))
    )
    outputs, _ = judge_labels(made.entries)
    fired = [
        alert for alert in outputs.alerts if alert.state == "firing" and alert.change == "state"
    ]
    assert {(alert.feature, alert.rule, alert.severity) for alert in fired} <= {
        ("", "performance.accuracy", "critical"),
        ("", "performance.f1_macro", "critical"),
    }
    accuracy = next(alert for alert in fired if alert.rule == "performance.accuracy")
    assert accuracy.evidence.expected == pytest.approx(ACCURACY, abs=0.02)
    assert accuracy.evidence.threshold is not None
    assert accuracy.evidence.value < accuracy.evidence.threshold < ACCURACY
    assert "baseline" in accuracy.summary
    assert {alert.summary.split(" 0.")[0] for alert in fired} <= {"accuracy", "macro F1"}, (
        "names that people read"
    )
    assert accuracy.action == "recalibrate"
    assert outputs.current["1.0.0"].severity == "critical"
    assert "accuracy" in outputs.current["1.0.0"].verdict


def test_labels_that_come_at_once_are_as_good_as_one_pane_after_the_other() -> None:
    """A day's labels in one upload, with nothing after them, fire the alert: it need not wait for
    what never comes.
    """
    made = stream(1).panes(8).label(range(1, 9)).panes(8, wrong=0.36).label(range(9, 17))
    outputs, _ = judge_labels(made.entries)
    assert ("performance.accuracy", "firing") in {
        (alert.rule, alert.state) for alert in outputs.alerts
    }


def test_a_fall_resolves_when_the_labels_are_right_again() -> None:
    """Once newer labels are as the baseline, the alert resolves."""
    made = stream(2).panes(8, wrong=0.4).label(range(1, 9))
    for place in range(9, 26):
        made.panes(1).label([place])
    outputs, _ = judge_labels(made.entries)
    states = [alert.state for alert in outputs.alerts if alert.rule == "performance.accuracy"]
    assert "firing" in states
    assert states[-1] == "resolved"


def test_drift_that_does_not_touch_the_target_stays_a_warning() -> None:
    """While labels say that the model is right, a feature that moved far is a warning; without
    labels it is critical.
    """
    with_labels, without = stream(3), stream(3)
    for place in range(1, 17):
        with_labels.panes(1, shift=1.0 if place > 6 else 0.0).label([place])
        without.panes(1, shift=1.0 if place > 6 else 0.0)
    fired = [
        alert for alert in judge_labels(with_labels.entries)[0].alerts if alert.state == "firing"
    ]
    assert {(alert.feature, alert.rule, alert.severity) for alert in fired} == {
        ("y", "psi", "warning")
    }
    outputs, _ = judge_labels(with_labels.entries)
    assert outputs.current["1.0.0"].severity == "warning"
    assert max(alert.severity for alert in judge_labels(without.entries)[0].alerts) == "warning"
    assert "critical" in {alert.severity for alert in judge_labels(without.entries)[0].alerts}


def test_labels_that_stopped_cap_nothing() -> None:
    """When no recent prediction has a label, drift is critical again: labels of long ago vouch for
    nothing.
    """
    made = stream(4).panes(6).label(range(1, 7))
    made.panes(40, shift=1.0)
    severities = {
        alert.severity for alert in judge_labels(made.entries)[0].alerts if alert.feature == "y"
    }
    assert "critical" in severities


def test_a_fall_ranks_first_and_takes_the_drift_along() -> None:
    """With both, people are told of the fall: it names the drifting column, whose alert is recorded
    as its explanation.
    """
    made = stream(5).panes(8).label(range(1, 9))
    for place in range(9, 21):
        made.panes(1, wrong=0.5, shift=0.8).label([place])
    outputs, _ = judge_labels(made.entries)
    fall = next(
        alert
        for alert in outputs.alerts
        if alert.rule == "performance.accuracy" and alert.state == "firing"
    )
    current = outputs.current["1.0.0"]
    drift = next(alert for alert in current.alerts if alert.feature == "y")
    assert drift.inhibited_by in {
        alert.fingerprint for alert in current.alerts if alert.rule.startswith("performance.")
    }
    later = [
        alert for alert in outputs.alerts if alert.feature == "y" and alert.updated > fall.updated
    ]
    assert not any(alert.notify for alert in later)
    told = [
        alert
        for alert in outputs.alerts
        if alert.rule.startswith("performance.") and alert.state == "firing"
    ]
    assert any("drifting with it" in alert.summary for alert in told) or any(
        alert.feature == "y" for alert in later
    )
    assert {action.action for action in current.actions} >= {"retrain"}
    assert "fix_feed" not in {action.action for action in current.actions}


def test_chance_is_no_fall() -> None:
    """Few labels with a bad share are no alert: the interval holds the baseline; so is a small fall
    of very many.
    """
    unlucky = stream(6).panes(1).label([1], slice(0, 210))
    few = judge_labels(unlucky.entries, version=stated(accuracy=0.9, f1_macro=0.9))[0]
    assert [alert for alert in few.alerts if alert.rule.startswith("performance")] == []
    made = stream(7).panes(24, wrong=1 - ACCURACY + 0.03).label(range(1, 25)).panes(2)
    many = judge_labels(made.entries, dataclasses.replace(JudgingPolicy(), labelled_rows=100_000))[
        0
    ]
    assert [alert for alert in many.alerts if alert.rule.startswith("performance")] == []


def stated(**baseline: float) -> JudgedVersion:
    """Return the version with baselines that its manifest states."""
    manifest = msgspec.structs.replace(PUBLISHED.manifest, metrics=baseline)
    return JudgedVersion.of(msgspec.structs.replace(PUBLISHED, manifest=manifest, performance=None))


def test_no_false_alarms_in_a_month_of_windows() -> None:
    """Over 1,200 evaluations of windows without any change no performance alert fires."""
    for seed in range(3):
        made = stream(100 + seed)
        for place in range(1, 201):
            made.panes(1).label([place])
        alerts = judge_labels(made.entries)[0].alerts
        assert [
            alert
            for alert in alerts
            if alert.rule.startswith("performance.") and alert.state == "firing"
        ] == []


def test_without_a_baseline_nothing_is_judged() -> None:
    """Labels of a version that nobody measured are shown, and raise no alert."""
    bare = JudgedVersion.of(msgspec.structs.replace(PUBLISHED, performance=None))
    made = stream(8).panes(8, wrong=0.5).label(range(1, 9)).panes(3)
    outputs, _ = judge_labels(made.entries, version=bare)
    found = outputs.current["1.0.0"].performance
    assert found is not None
    assert found.metrics[0].baseline is None
    assert found.estimated == []
    assert [alert for alert in outputs.alerts if alert.rule.startswith("performance")] == []


def test_below_the_least_rows_is_a_state_of_its_own() -> None:
    """With too few labels the performance is insufficient data, and says how many are there."""
    found = performance_of(stream(9).panes(4).label([1], slice(0, 50)))
    assert found.severity == "insufficient_data"
    assert found.reason == "50 of 200 labelled predictions"
    assert found.labelled == 50


def test_without_labels_there_is_an_estimate() -> None:
    """A version whose labels never come has an estimate, marked by its assumption, never a
    verdict.
    """
    version = JudgedVersion.of(
        msgspec.structs.replace(
            PUBLISHED, manifest=msgspec.structs.replace(PUBLISHED.manifest, labels=False)
        )
    )
    found = performance_of(stream(10).panes(8), version=version)
    accuracy = next(one for one in found.estimated if one.name == "accuracy")
    assert accuracy.value == pytest.approx(ACCURACY, abs=0.03)
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert accuracy.low <= ACCURACY <= accuracy.high
    assert "no concept drift" in found.assumption
    assert found.metrics == []
    assert found.severity == "insufficient_data"


def test_estimate_and_fact_are_side_by_side() -> None:
    """With labels, the estimate has the same names as the facts, so that both can be drawn
    together.
    """
    found = performance_of(stream(11).panes(8).label(range(1, 9)))
    facts = {one.name: one for one in found.metrics}
    assert {one.name for one in found.estimated} <= facts.keys()
    assert {"accuracy", "f1_macro", "roc_auc"} <= {one.name for one in found.estimated}


def test_corrections_take_the_first_label_away() -> None:
    """A label that replaces another leaves no trace of the first in the window's metrics."""
    made = stream(12).panes(2).label([1, 2])
    wrong = made.rows[1]
    fixed = dataclasses.replace(wrong, labels=wrong.predictions)
    change = fixed.sums(LAYOUT) - wrong.sums(LAYOUT)
    delta = made.entries[-1][1].revised[0]  # type: ignore[union-attr]  # a delta
    made.revise(
        [msgspec.structs.replace(delta, labelled=0, corrected=50, delays=b"", sums=change.pack())]
    )
    found = performance_of(made)
    expected = metrics(fixed.sums(LAYOUT) + made.rows[2].sums(LAYOUT), SHOWN_CONFIDENCE)
    assert {one.name: one.value for one in found.metrics} == {
        name: one.value for name, one in expected.items()
    }
    assert (found.labelled, found.corrected) == (500, 50)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=6))
def test_judging_in_steps_gives_the_same(cuts: list[int]) -> None:
    """However the panes stream is cut, through checkpoints, alerts and snapshots are the same, byte
    for byte.
    """
    at_once, fields = judge_labels(LOG.entries)
    in_steps, again = judge_labels(
        LOG.entries, cuts=[cut for cut in cuts if cut < len(LOG.entries)]
    )
    assert msgspec.json.encode(in_steps.alerts) == msgspec.json.encode(at_once.alerts)
    assert msgspec.json.encode(in_steps.snapshots) == msgspec.json.encode(at_once.snapshots)
    assert msgspec.json.encode(in_steps.current) == msgspec.json.encode(at_once.current)
    assert again == fields


def _log() -> LabelledStream:
    made = stream(13)
    for place in range(1, 21):
        made.panes(1, wrong=0.2 if place < 10 else 0.4, shift=0.0 if place < 14 else 1.0)
        made.label([max(place - 2, 1)], slice(0, 120))
        made.label([max(place - 4, 1)], slice(120, 240), delay_s=9000)
    return made


LOG = _log()


def test_the_order_of_partitions_does_not_matter() -> None:
    """With two partitions, read in whatever order, the same alerts come out, and labels find the
    panes of their own.
    """
    one, two = (
        stream(14),
        LabelledStream(np.random.default_rng(15), partition=1, now=stream().now + 5000),
    )
    for place in range(1, 15):
        for part in (one, two):
            part.panes(1, wrong=0.2 if place < 6 else 0.45).label([place])
    policy = dataclasses.replace(JudgingPolicy(), partitions=2)
    by_time = sorted(
        [*one.entries, *two.entries], key=lambda entry: getattr(entry[1], "end", 0) or entry[1].time
    )  # type: ignore[union-attr]
    first, _ = judge_labels([*one.entries, *two.entries], policy, cuts=[7])
    second, _ = judge_labels(by_time, policy, cuts=[3, 11])
    assert first.alerts
    assert [(a.rule, a.state, a.updated) for a in first.alerts] == [
        (a.rule, a.state, a.updated) for a in second.alerts
    ]
    assert first.current["1.0.0"].performance == second.current["1.0.0"].performance


def test_a_regression_is_held_against_mae_and_rmse() -> None:
    """Numbers are judged by MAE and RMSE, of which less is better."""
    random = np.random.default_rng(16)
    layout = Layout("numeric")
    labels = random.normal(50, 10, 2000)
    reference = PerformanceReference.of(layout, labels + random.normal(0, 2, 2000), labels)
    baselines = PerformanceBaselines(layout, {}, reference)
    policy = JudgingPolicy()
    level = levels(policy, 100_000, 2)
    severities = {}
    for scale in (1.9, 2.0, 2.6):
        window = LabelledWindow(
            Sums.of(layout, labels + random.normal(0, scale, 2000), labels), labelled=2000
        )
        found = list(Labelled(window, baselines, level, policy).readings())
        severities[scale] = {name: reading.severity for name, reading, _ in found}
    assert severities == {
        1.9: {"mae": None, "rmse": None},
        2.0: {"mae": None, "rmse": None},
        2.6: {"mae": "critical", "rmse": "critical"},
    }


def test_errors_of_numbers_have_the_unit_of_the_labels() -> None:
    """MAE and RMSE are in the unit that the schema has, in words, evidence and report; R² has
    none.
    """
    random = np.random.default_rng(16)
    layout = Layout("numeric")
    labels = random.normal(50, 10, 2000)
    reference = PerformanceReference.of(layout, labels + random.normal(0, 2, 2000), labels)
    baselines = PerformanceBaselines(layout, {}, reference, "kWh")
    window = LabelledWindow(
        Sums.of(layout, labels + random.normal(0, 4, 2000), labels), labelled=2000
    )
    policy = JudgingPolicy()
    labelled = Labelled(window, baselines, levels(policy, 100_000, 2), policy)
    (_, reading, evidence), *_ = labelled.readings()
    assert re.fullmatch(
        r"MAE \d\.\d+ kWh, baseline 1\.\d+ kWh \(\+\d+\.\d.%\), 2,000 labelled predictions",
        reading.summary,
    )
    assert evidence.unit == "kWh"
    found = report(labelled, baselines, None, (0, 1))
    assert found is not None
    units = {one.name: one.unit for one in found.metrics}
    assert (units["mae"], units["rmse"], units["r2"]) == ("kWh", "kWh", "")


def test_a_stated_metric_goes_before_the_measured_one() -> None:
    """The manifest's metric is the baseline; the reference rows give its error. F1 without a suffix
    is the macro one.
    """
    version = JudgedVersion.of(
        msgspec.structs.replace(
            PUBLISHED,
            manifest=msgspec.structs.replace(PUBLISHED.manifest, metrics={"f1": 0.7}),
            performance=PerformanceReference(100, {"f1_macro": Metric(0.8, 0.7, 0.9, 100)}),
        )
    )
    assert version.baselines is not None
    found = version.baselines.baseline("f1_macro")
    assert found is not None
    assert found.value == 0.7
    assert found.error == pytest.approx(0.1 / 1.96, abs=1e-3)
    assert version.baselines.baseline("accuracy") is None


def test_schemas_without_prediction_have_no_baselines() -> None:
    """A stream of inputs has no performance, whatever its manifest says."""
    inputs = msgspec.structs.replace(SCHEMA, prediction=None, classes=())
    version = JudgedVersion.of(msgspec.structs.replace(PUBLISHED, schema=inputs))
    assert version.baselines is None
    assert not version.labels


def test_an_online_alarm_of_errors_is_a_warning_of_the_model() -> None:
    """The e-detector's alarm on errors fires at once as a WARNING of the model, and resolves while
    the metrics are right.
    """
    made = stream(17).panes(8).label(range(1, 9))
    alarm = Alarm(
        0,
        made.now,
        2000,
        "1.0.0",
        "",
        "performance.e_detector",
        60,
        "R",
        9e6,
        None,
        60,
        "the errors changed",
        3e6,
    )
    made.entries.append(("8-9", alarm))
    for place in range(9, 22):
        made.panes(1).label([place])
    outputs, _ = judge_labels(made.entries)
    found = [alert for alert in outputs.alerts if alert.rule == "performance.e_detector"]
    assert [(alert.state, alert.severity, alert.feature) for alert in found] == [
        ("firing", "warning", ""),
        ("resolved", "warning", ""),
    ]
    assert found[0].summary == "Error rising (E-detector): the errors changed"


def test_an_improvement_explains_nothing_and_asks_for_nothing() -> None:
    """Errors that fell are a WARNING that says so: no retraining, no recalibration, and no drift is
    put down to it.
    """
    made = stream(18).panes(8).label(range(1, 9))
    effect = (
        "the errors fell, which is an improvement: 2.0 % errors instead of 20.0 % over 90 labels"
    )
    made.entries.append(
        (
            "8-9",
            Alarm(
                0,
                made.now,
                2000,
                "1.0.0",
                "",
                "improvement.adwin",
                90,
                "mean_rank",
                0.41,
                0.5,
                90,
                effect,
            ),
        )
    )
    for place in range(9, 16):
        made.panes(1, shift=3.0).label([place])
    outputs, _ = judge_labels(made.entries)
    found = next(alert for alert in outputs.alerts if alert.rule == "improvement.adwin")
    assert (found.state, found.severity, found.action) == ("firing", "warning", "wait")
    assert not found.notify, "it is shown, and pages nobody"
    assert found.summary == f"Error falling (ADWIN): {effect}"
    drift = [alert for alert in outputs.alerts if alert.feature == "y" and alert.state == "firing"]
    assert drift
    assert not any(alert.inhibited_by for alert in drift)
