"""The value of predictions in judging: a loss that no other metric shows is found, and chance is
not.
"""

import dataclasses
import re
from collections.abc import Iterable

import msgspec
import numpy as np
import pytest
from scipy.stats import binom

from driftgauge.consumer.judging.advance import take_up
from driftgauge.consumer.judging.backtest import rejudge
from driftgauge.consumer.judging.evaluating.budget import (
    PAST_DAYS,
    PERFORMANCE_TESTS,
    Levels,
    judged_metrics,
    levels,
    levels_of_one,
)
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.labelled.late import ModelFell
from driftgauge.consumer.judging.labelled.metric_reading import judge
from driftgauge.consumer.judging.labelled.performance import Labelled, report
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.consumer.judging.stated import ModelPolicy, Proposal
from driftgauge.consumer.judging.windows.labelled import LabelledWindow
from driftgauge.consumer.judging.windows.labelled_days import DayTotal
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.performance import (
    Confidence,
    Layout,
    PerformanceBaselines,
    PerformanceReference,
    Sums,
    Worth,
)
from driftgauge.shared.performance.value import of_matrix
from driftgauge.shared.policies.agreed import Origin
from driftgauge.shared.wording.numbers import MINUS
from driftgauge.shared.wording.titles import rule_words
from tests.consumer.judging.labels import (
    LAYOUT,
    MAP,
    NAMES,
    PUBLISHED,
    VERSION,
    LabelledStream,
    Rows,
    judge_labels,
)

WORTH = Worth("EUR", {"no": {"no": 20.0, "yes": -100.0}, "yes": {"no": -10.0, "yes": 20.0}})
"""By it 1,000 rows of the reference are worth some 5,000 EUR."""
POLICY = JudgingPolicy(value=WORTH)
NUMBERS = Layout("numeric")


def dear(random: np.random.Generator, rows: Rows) -> Rows:
    """Return rows that are as often right as before, but all wrong ones are predicted `yes`."""
    labels = ["no" if said == "no" or random.random() < 0.4 else "yes" for said in rows.predictions]
    return dataclasses.replace(rows, labels=labels)


def stream(seed: int, panes: int, dear_from: int) -> LabelledStream:
    """Make labelled panes, of which those from a number on have dear errors."""
    random = np.random.default_rng(seed)
    made = LabelledStream(random)
    for place in range(1, panes + 1):
        made.panes(1)
        if place >= dear_from:
            made.rows[place] = dear(random, made.rows[place])
        made.label([place])
    return made


def _usual() -> float:
    """Return what 1,000 of the reference rows are worth."""
    assert PUBLISHED.performance is not None
    matrix = np.array(PUBLISHED.performance.confusion)[:2, :2]
    return float(1000 * (matrix * [[20, -100], [-10, 20]]).sum() / matrix.sum())


def of_performance(alerts: Iterable[Alert]) -> list[Alert]:
    return [one for one in alerts if one.rule.startswith("performance.") and one.state == "firing"]


def test_a_loss_that_accuracy_does_not_show_is_found() -> None:
    """When errors become dear and not more frequent, the value fires, with its baseline in its
    unit; accuracy and F1 are as they were, and without a stated value nothing is told.
    """
    made = stream(1, 20, dear_from=9)
    outputs, _ = judge_labels(made.entries, POLICY)
    fired = of_performance(outputs.alerts)
    assert {(one.rule, one.severity) for one in fired} == {("performance.value", "critical")}
    evidence = fired[0].evidence
    assert evidence.unit == "EUR"
    assert evidence.expected == pytest.approx(_usual())
    assert evidence.threshold is not None
    assert evidence.value < evidence.threshold < evidence.expected
    assert fired[0].summary.startswith("value per 1,000 predictions ")
    assert " EUR, baseline " in fired[0].summary
    lost = rf", {MINUS}\d,\d+ EUR by more “no” predicted as “yes”"
    assert re.search(lost, fired[0].summary)
    assert rule_words(fired[0].rule) == "Value falling (value per 1,000 predictions)"
    incident = next(one for one in outputs.incidents if one.state == "open")
    assert "value per 1,000 predictions fell from" in incident.headline
    assert of_performance(judge_labels(made.entries)[0].alerts) == []


def test_a_replay_tells_the_same() -> None:
    """`driftgauge backtest` of a policy that states a value tells what the worker would."""
    made = stream(1, 20, dear_from=9)
    outputs, _ = judge_labels(made.entries, POLICY)
    log, versions = [entry for _, entry in made.entries], dict.fromkeys(NAMES, VERSION)
    told = [
        alert for _, (moved,) in rejudge(log, "plant", versions, [POLICY]) for alert in moved.alerts
    ]
    wanted = [(one.rule, one.state, one.updated) for one in outputs.alerts]
    assert [(one.rule, one.state, one.updated) for one in told] == wanted
    assert "performance.value" in {one.rule for one in told}


def test_the_snapshot_has_value_interval_baseline_and_estimate() -> None:
    """The value stands with the judged metrics in its unit, and beside it what it is estimated to
    be without labels.
    """
    outputs, _ = judge_labels(stream(2, 8, dear_from=99).entries, POLICY)
    found = outputs.current["1.0.0"].performance
    assert found is not None
    assert [one.name for one in found.metrics[:3]] == ["accuracy", "f1_macro", "value"]
    value = found.metrics[2]
    estimated = next(one for one in found.estimated if one.name == "value")
    assert (value.unit, estimated.unit, value.severity) == ("EUR", "EUR", "ok")
    assert value.n == 2000
    for one in (value, estimated):
        assert one.baseline == pytest.approx(_usual())
        assert one.low is not None
        assert one.high is not None
        assert one.value is not None
        assert one.low < one.value < one.high
        assert one.low < _usual() < one.high
    assert found.confusion is not None
    assert found.confusion.unit == "EUR"
    assert sum(map(sum, found.confusion.amounts)) == pytest.approx(value.value)
    (right, _), (_, hits) = found.confusion.amounts
    assert (right, hits) == pytest.approx(tuple(np.diag(found.confusion.matrix) * 20 / 2))
    plain = judge_labels(stream(2, 8, dear_from=99).entries)[0].current["1.0.0"].performance
    assert plain is not None
    assert plain.confusion is not None
    assert plain.confusion.amounts == []
    assert "value" not in {one.name for one in (*plain.metrics, *plain.estimated)}


@pytest.mark.parametrize("segments", [0, 4])
def test_one_metric_more_keeps_the_budget(segments: int) -> None:
    """With a value the model's metrics are three, and each has a third of what two shared: all
    tests together may raise as few false alarms as before, those of segments as they were.
    """
    plain, found = (levels(one, 100_000, 10, segments) for one in (JudgingPolicy(), POLICY))
    assert found.performance * 3 == pytest.approx(plain.performance * 2)
    assert found.performance_day * 3 == pytest.approx(plain.performance_day * 2)
    assert found.segment_performance == plain.segment_performance
    assert found.segment_performance_day == plain.segment_performance_day
    evaluations = 30 * 100_000 / POLICY.pane_events
    of_model = evaluations * found.performance + PAST_DAYS * found.performance_day
    of_segments = (
        evaluations * found.segment_performance + PAST_DAYS * found.segment_performance_day
    )
    of_segments *= PERFORMANCE_TESTS * segments
    assert 3 * of_model + of_segments == pytest.approx(POLICY.performance_share)
    alone = [levels_of_one(one, 4, 0.01, labelled=True) for one in (JudgingPolicy(), POLICY)]
    assert alone[1].performance * 3 == pytest.approx(alone[0].performance * 2)


def window_of(sums: Sums, level: Levels, policy: JudgingPolicy) -> Labelled:
    assert VERSION.baselines is not None
    return Labelled(LabelledWindow(sums, labelled=sums.rows), VERSION.baselines, level, policy)


def test_calm_windows_raise_it_as_seldom_as_they_may() -> None:
    """At a level of .01 and without the limit of 5 %, the value falls in 20 of 2,000 calm windows,
    each with a reference of its own: fewer than 5 or more than 40 have a probability below 1e-4.
    """
    assert PUBLISHED.performance is not None
    matrix = np.array(PUBLISHED.performance.confusion)
    random, fell = np.random.default_rng(3), 0
    policy = dataclasses.replace(POLICY, performance_drop=0.0)
    for _ in range(2000):
        drawn = random.multinomial(2000, (matrix / matrix.sum()).ravel())
        truth = random.multinomial(matrix.sum(), (matrix / matrix.sum()).ravel())
        fell += _is_bad(drawn, truth.reshape(matrix.shape), policy)
    assert 5 <= fell <= 40


def _is_bad(drawn: np.ndarray, reference: np.ndarray, policy: JudgingPolicy) -> bool:
    """Judge a window by a reference, each given by its confusion matrix."""
    assert VERSION.baselines is not None
    assert PUBLISHED.performance is not None
    sums = Sums.zero(LAYOUT)
    sums.counts[LAYOUT.counts["matrix"]] = drawn
    known = msgspec.structs.replace(PUBLISHED.performance, confusion=reference.tolist())
    baselines = msgspec.structs.replace(VERSION.baselines, reference=known)
    window = LabelledWindow(sums, labelled=2000)
    readings = Labelled(window, baselines, Levels(0.01, 0.01, 0.01), policy).readings()
    return any(reading.severity for name, reading, _ in readings if name == "value")


@pytest.mark.parametrize("rare", [-1.0, 1.0])
@pytest.mark.parametrize("share", [0.001, 0.005, 0.02])
@pytest.mark.parametrize("rows", [1000, 20_000])
def test_rare_dear_rows_raise_it_as_seldom_as_they_may(
    rare: float, share: float, rows: int
) -> None:
    """Where all losses, or all gains, are of a rare kind of row, the probability of a false alarm
    is at most what the level says, exactly: it is summed over all numbers of such rows in a window
    of 2,000 and in the reference, at about the level of the default budget, and without the limit
    of 5 %. (With Wilson's intervals alone it would be up to some 900 times as much.)
    """
    worth = Worth("EUR", {"no": {"no": 0.0, "yes": 0.0}, "yes": {"no": 0.0, "yes": rare}})
    policy, level = JudgingPolicy(value=worth, performance_drop=0.0), 1e-6
    sure, values = Confidence(1 - 2 * level), worth.values(LAYOUT)
    windows = [
        (chance, of_matrix(_with(number, 2000), values, sure))
        for number, chance in _likely(2000, share)
    ]
    total = 0.0
    for number, chance in _likely(rows, share):
        known = PerformanceReference(rows, {}, confusion=_with(number, rows).tolist())
        base = PerformanceBaselines(LAYOUT, {}, known).baseline("value", worth)
        assert base is not None
        for other, metric in windows:
            if judge("value", metric, base, sure, policy)[0].severity:
                total += chance * other
    assert total <= level


def _with(number: int, rows: int) -> np.ndarray:
    """Return a confusion matrix with so many of the rare rows."""
    return np.array([[rows - number, 0, 0], [0, number, 0], [0, 0, 0]])


def _likely(rows: int, share: float) -> list[tuple[int, float]]:
    """Return how many of the rows may be of the rare kind, with the probability of each number."""
    chances = binom.pmf(np.arange(rows + 1), rows, share)
    return [(int(one), float(chances[one])) for one in np.flatnonzero(chances > 1e-14)]


@pytest.mark.long
def test_no_false_alarms_in_a_month_of_windows() -> None:
    """Over 1,200 evaluations of windows without any change no alert of performance fires, the
    value among them.
    """
    for seed in range(3):
        made = stream(100 + seed, 200, dear_from=999)
        assert of_performance(judge_labels(made.entries, POLICY)[0].alerts) == []


def test_past_days_have_a_verdict_on_it() -> None:
    """A day whose late labels show dear errors is bad in its value alone; a calm one is not."""
    assert VERSION.baselines is not None
    random = np.random.default_rng(5)
    level = levels(POLICY, 100_000, 4).performance_day
    question = ModelFell(VERSION.baselines, level, POLICY)
    made = LabelledStream(random).panes(1, size=6000)
    assert tuple(question.subjects) == ("accuracy", "f1_macro", "value")
    assert question.bad(DayTotal(made.rows[1].sums(LAYOUT))) == []
    assert question.bad(DayTotal(dear(random, made.rows[1]).sums(LAYOUT))) == ["value"]


def test_a_changed_value_ends_its_alert_and_forgets_its_days() -> None:
    """Other values are other limits: the alert of the old ones ends with that reason, and what was
    found of past days by them is forgotten. Without values there is no such rule.
    """
    made = stream(1, 20, dear_from=9)
    other = Worth("EUR", {"no": {"no": 1.0, "yes": 0.0}, "yes": {"no": 0.0, "yes": 1.0}})
    for said, why in (
        (ModelPolicy(value=other), "its limits are others now"),
        (ModelPolicy(), "it has no such rule any more"),
    ):
        state = _taken_up(ModelPolicy(value=WORTH), JudgingState(), 1)[0]
        _, fields = judge_labels(made.entries, POLICY)
        recorded = {**fields, **state.pack_changed()}
        state = JudgingState.unpack(recorded, dict.fromkeys(NAMES, MAP.size))
        days = state.labelled_days["1.0.0"].days.values()
        for day in days:
            day.bad = {"value": 1, "accuracy": 1}
        state, alerts = _taken_up(said, state, 2)
        assert [(one.rule, one.state) for one in alerts] == [("performance.value", "resolved")]
        assert why in alerts[0].summary
        assert {*map(tuple, (day.bad for day in days))} == {("accuracy",)}


def _taken_up(
    said: ModelPolicy, state: JudgingState, number: int
) -> tuple[JudgingState, list[Alert]]:
    proposed = Proposal(said, Origin(number, "ab", "host:policy.toml"))
    outputs = take_up(state, "plant", dict.fromkeys(NAMES, VERSION), JudgingPolicy(), proposed)
    return state, outputs.alerts


def test_a_value_that_does_not_fit_is_shown_as_such() -> None:
    """Where the policy has no value of a class of the version, the value is not judged, and the
    snapshot says why; the other metrics are judged as ever.
    """
    lacking = Worth("EUR", {"no": {"no": 1.0, "yep": 0.0}, "yep": {"no": 0.0, "yep": 1.0}})
    outputs, _ = judge_labels(stream(6, 8, dear_from=99).entries, JudgingPolicy(value=lacking))
    found = outputs.current["1.0.0"].performance
    assert found is not None
    value = next(one for one in found.metrics if one.name == "value")
    assert (value.value, value.severity) == (None, "insufficient_data")
    assert value.note == "the policy states no value of the class 'yes'"
    assert f"The value of predictions is not known: {value.note}." in outputs.current["1.0.0"].notes
    assert found.severity == "ok"


def test_a_version_without_a_known_confusion_matrix_is_shown() -> None:
    """The value of a version that was registered before matrices were kept has no baseline, and so
    no verdict.
    """
    old = msgspec.structs.replace(PUBLISHED.performance, confusion=[])  # type: ignore[type-var]
    version = JudgedVersion.of(msgspec.structs.replace(PUBLISHED, performance=old))
    outputs, _ = judge_labels(stream(1, 20, dear_from=9).entries, POLICY, version=version)
    assert of_performance(outputs.alerts) == []
    found = outputs.current["1.0.0"].performance
    assert found is not None
    value = next(one for one in found.metrics if one.name == "value")
    assert (value.baseline, value.change, value.severity) == (None, None, "ok")
    assert outputs.current["1.0.0"].notes[-1].endswith("confusion matrix, so register it anew.")
    bare = JudgedVersion.of(msgspec.structs.replace(PUBLISHED, performance=None))
    outputs, _ = judge_labels(stream(2, 8, dear_from=99).entries, POLICY, version=bare)
    assert outputs.current["1.0.0"].notes[-1].endswith("has no labelled reference rows.")


def test_numbers_are_held_against_what_their_errors_cost() -> None:
    """A regression whose errors doubled is worth less, in the unit of the cost, not of its
    labels.
    """
    random = np.random.default_rng(7)
    labels = random.normal(50, 10, 2000)
    reference = PerformanceReference.of(NUMBERS, labels + random.normal(0, 2, 2000), labels)
    baselines = PerformanceBaselines(NUMBERS, {}, reference, "kWh")
    policy = JudgingPolicy(value=Worth("EUR", cost_per_unit_of_error=0.3))
    level = levels(policy, 100_000, 2)
    assert judged_metrics("numeric", policy) == ("mae", "rmse", "value")
    for scale, severity in ((2.0, None), (4.0, "critical")):
        sums = Sums.of(NUMBERS, labels + random.normal(0, scale, 2000), labels)
        labelled = Labelled(LabelledWindow(sums, labelled=2000), baselines, level, policy)
        said = {name: (reading, evidence) for name, reading, evidence in labelled.readings()}
        assert {reading.severity for reading, _ in said.values()} == {severity}
        assert said["value"][1].value == pytest.approx(-300 * said["mae"][1].value)
        found = report(labelled, baselines, None, (0, 1), policy.value)
        assert found is not None
        units = {one.name: one.unit for one in found.metrics}
        assert (units["mae"], units["value"]) == ("kWh", "EUR")
