"""The rules of a policy, on windows made of counts."""

from dataclasses import replace

import numpy as np
import pytest

from driftgauge.consumer.counting.detectors import DETECTORS, ERROR_DETECTORS
from driftgauge.consumer.judging.evaluating.budget import levels
from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.evaluating.reading import Reading
from driftgauge.consumer.judging.policy import LATENCY, JudgingPolicy, Threshold
from driftgauge.consumer.judging.rules.findings import findings, is_judged, rule_levels
from driftgauge.consumer.judging.rules.metrics import (
    MODEL_METRICS,
    EvaluatedWindow,
    column_metrics,
    latency_quantile,
)
from driftgauge.consumer.judging.windows.failures import Attempts, FailureWindow
from driftgauge.consumer.judging.windows.window import VersionWindow, WindowPane
from driftgauge.shared.contract.pane import LATENCY_EDGES_MS, Block, pack_counts
from tests.consumer.builders import NOON
from tests.consumer.judging import weeks
from tests.consumer.judging.builders import SIZES, VERSIONS, Stream, block, judge

POLICY = JudgingPolicy()
CLASSIC = replace(POLICY, kind="classic")


def latency_counts(values: list[float]) -> bytes:
    return pack_counts(np.bincount(np.searchsorted(LATENCY_EDGES_MS, values), minlength=64))


def judged(
    policy: JudgingPolicy = POLICY,
    rows: int = 2000,
    latencies: list[float] | None = None,
    **law: float,
) -> EvaluatedWindow:
    made = block("1.0.0", np.random.default_rng(0), rows, **law)
    window = VersionWindow.of(SIZES["1.0.0"], [])
    window.add(WindowPane(0, 1, NOON, NOON + 1, rows, made.cells, latency_counts(latencies or [])))
    version = VERSIONS["1.0.0"]
    level = levels(policy, 100_000, len(version.watched))
    return EvaluatedWindow(
        Evaluation(version, window.cells, window.rows, level, policy),
        window,
        100_000,
        failures=FailureWindow.of([Attempts(NOON, rows)]),
    )


def readings(
    found: EvaluatedWindow, policy: JudgingPolicy, watching: set[tuple[str, str]] | None = None
) -> dict[str, Reading]:
    return {
        f"{one.feature} {one.rule}": one.reading
        for one in findings(found, watching or set(), policy)
    }


def test_the_budget_of_ordered_columns_is_shown() -> None:
    """Where columns are judged by the week, that rule stands among the levels, with the rate that
    the replay realised.
    """
    version = weeks.version_of()
    assert version.ordered
    window = VersionWindow.of(int(version.reference.offsets[-1]), [])
    evaluation = Evaluation(
        version, window.cells, 0, levels(POLICY, 96, len(version.watched)), POLICY
    )
    assert version.calibration is not None
    found = {one.rule: one for one in rule_levels(EvaluatedWindow(evaluation, window, 96), POLICY)}[
        "psi_week"
    ]
    assert found.share == version.calibration.target
    assert f"gave {version.calibration.realised:.2g}" in found.note
    assert "psi_week" not in {one.rule for one in rule_levels(judged(), POLICY)}
    assert "psi_week" not in {
        one.rule for one in rule_levels(EvaluatedWindow(evaluation, window, 96), CLASSIC)
    }


def test_the_classic_policy_is_plain_psi_and_ks() -> None:
    """A shift fires plain PSI .1/.25 and KS .2 instead of the calibrated PSI; calm columns say
    nothing.
    """
    found = readings(judged(CLASSIC, shift=0.5), CLASSIC)
    assert found.keys() == {"smooth classic.psi"}
    found = readings(judged(CLASSIC, shift=1.0), CLASSIC)
    del found["smooth out_of_range"]  # a whole deviation brings values that the reference never had
    assert {name: one.severity for name, one in found.items()} == {
        "smooth classic.psi": "critical",
        "smooth classic.ks": "warning",
    }
    assert readings(judged(CLASSIC), CLASSIC) == {}
    assert "smooth psi" in readings(judged(shift=1.0), POLICY)


def test_the_classic_policy_keeps_integrity() -> None:
    """Broken values are critical under either policy."""
    assert readings(judged(CLASSIC, missing=0.2), CLASSIC)["smooth missing"].severity == "critical"


def test_the_classic_policy_from_panes_to_alerts() -> None:
    """Classic alerts live like the others, online drift alarms stay out, and the snapshot shows the
    thresholds used.
    """
    made = Stream(np.random.default_rng(0)).panes(8).alarm().panes(8, shift=1.0)
    found = judge(made.entries, CLASSIC)
    assert {alert.rule for alert in found.alerts} - {"out_of_range"} == {
        "classic.psi",
        "classic.ks",
    }
    current = found.current["1.0.0"]
    psi = next(one for one in current.features[0].statistics if one.name == "psi")
    assert (psi.warning, psi.critical, current.features[0].severity) == (0.1, 0.25, "critical")
    assert {one.rule for one in current.levels} >= {"classic.psi", "classic.ks"}


def test_a_change_of_policy_ends_what_it_no_longer_judges() -> None:
    """An alert of a rule that the policy has no longer is ended, not left hanging."""
    made = Stream(np.random.default_rng(0)).panes(16, shift=1.0)
    calibrated = judge(made.entries)
    assert "psi" in {alert.rule for alert in calibrated.open}
    from driftgauge.consumer.judging.advance import advance

    state = calibrated.state()
    made.panes(1, shift=1.0)
    outputs = advance(state, made.entries[-1:], "plant", VERSIONS, CLASSIC)
    ended = next(alert for alert in outputs.alerts if alert.rule == "psi")
    assert (ended.state, ended.summary) == ("resolved", "the policy no longer has this rule")


@pytest.mark.parametrize(
    ("milliseconds", "severity"),
    [(50.0, None), (99.0, None), (120.0, "warning"), (250.0, "critical")],
)
def test_the_serving_latency(milliseconds: float, severity: str | None) -> None:
    """A p99 from 100 ms is a warning, from 200 ms critical; the p99 is within a cell of the exact
    one.
    """
    values = [5.0] * 900 + [milliseconds] * 100
    found = judged(latencies=values)
    value = MODEL_METRICS[LATENCY](found)
    assert value is not None
    assert abs(np.log(value / milliseconds)) < np.log(LATENCY_EDGES_MS[1] / LATENCY_EDGES_MS[0])
    reading = readings(found, POLICY, {("", "threshold.latency_p99_ms")})[
        " threshold.latency_p99_ms"
    ]
    assert reading.severity == (severity if milliseconds != 99.0 else reading.severity)
    assert MODEL_METRICS[LATENCY](judged(latencies=values[:50])) is None


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_latency_quantiles_against_numpy(share: float) -> None:
    """A quantile from the cells lies within one cell (22 %) of NumPy's on the same values."""
    values = np.random.default_rng(0).lognormal(2, 1, 20_000)
    counts = np.bincount(np.searchsorted(LATENCY_EDGES_MS, values), minlength=64)
    assert latency_quantile(counts, share) == pytest.approx(np.quantile(values, share), rel=0.1)


def test_latency_enters_and_leaves_the_window() -> None:
    """The latencies of the window are those of its panes: a slow hour that left it is forgotten,
    and the alert resolves.
    """
    made = Stream(np.random.default_rng(0))

    def slow(panes: int, milliseconds: float) -> None:
        for _ in range(panes):
            good = block("1.0.0", made.random, 250)
            made.pane(
                {
                    "1.0.0": Block(
                        250, good.cells, latency_counts([milliseconds] * 250), good.sources
                    )
                }
            )

    slow(8, 10)
    slow(4, 300)
    slow(14, 10)
    found = judge(made.entries)
    assert [(alert.feature, alert.state, alert.severity) for alert in found.alerts] == [
        ("", "pending", "critical"),
        ("", "firing", "critical"),
        ("", "resolved", "critical"),
    ]
    assert "99th percentile of the latency" in found.alerts[1].summary
    firing = next(one for one in found.snapshots if one.trigger == "alert")
    assert (firing.severity, firing.alerts[0].rule) == ("critical", "threshold.latency_p99_ms")
    assert "99th percentile of the latency" in firing.verdict


def limited(*thresholds: Threshold) -> JudgingPolicy:
    return replace(POLICY, thresholds=thresholds)


def test_thresholds_on_any_metric() -> None:
    """Every published metric can be limited; a limit below every value is bad on every column that
    has the metric.
    """
    found = judged(shift=1.0, missing=0.1, latencies=[5.0] * 200)
    for metric in [*column_metrics(), *MODEL_METRICS]:
        policy = limited(Threshold(metric, warning=-1.0))
        bad = {
            name: one
            for name, one in readings(found, policy).items()
            if name.endswith(f"threshold.{metric}")
        }
        assert bad
        assert {one.severity for one in bad.values()} == {"warning"}


def test_a_limit_for_one_feature_goes_before_the_one_for_all() -> None:
    """With .05 for all columns and .9 for the shifted one, the shifted one is quiet."""
    general, own = Threshold("ks", warning=0.05), Threshold("ks", "smooth", warning=0.9)
    shifted = judged(shift=0.3)
    assert "smooth threshold.ks" in readings(shifted, limited(general))
    assert "smooth threshold.ks" not in readings(shifted, limited(general, own))


def test_a_limit_from_below() -> None:
    """Too little traffic can be an alert: values at or below the limit are bad, well above it
    quiet.
    """
    watching = {("", "threshold.events_per_day")}
    for limit, severity, quiet in (
        (200_000, "warning", False),
        (90_000, None, False),
        (10_000, None, True),
    ):
        policy = limited(Threshold("events_per_day", warning=limit, direction="below"))
        reading = readings(judged(), policy, watching)[" threshold.events_per_day"]
        assert (reading.severity, reading.quiet) == (severity, quiet)


def test_thresholds_need_the_least_rows() -> None:
    """Below 500 rows a statistic is no number to judge by; shares are."""
    few = judged(rows=100, shift=0.9, missing=0.5)
    policy = limited(Threshold("psi", warning=0.1), Threshold("missing_share", warning=0.3))
    assert {name.split(" ")[1] for name in readings(few, policy)} - {"out_of_range"} == {
        "threshold.missing_share",
        "missing",
    }


def test_the_budget_is_shown() -> None:
    """Each rule shows its share, and the level that it became by the traffic: c = 3.3 times the
    events of 30 days.
    """
    found = {one.rule: one for one in rule_levels(judged(), POLICY)}
    assert found["e_detector"].threshold == pytest.approx(3_000_000 / 0.3)
    assert found["adwin"].significance == pytest.approx(0.1 / (3_000_000 * 7))
    assert found["psi"].significance == pytest.approx(levels(POLICY, 100_000, 7).psi)
    assert sum(one.share or 0 for one in found.values()) == pytest.approx(0.9)
    assert (
        found["threshold.latency_p99_ms"].threshold,
        found["threshold.latency_p99_ms"].critical,
    ) == (100, 200)
    unknown = rule_levels(judged(), limited(Threshold("ks", "no_such", warning=0.2)))[-1]
    assert unknown.note == "this version has no column no_such"


def test_all_shares_together_are_the_budget() -> None:
    """What every rule and every online detector may use, of columns and of errors, adds up to the
    budget; judging shows the shares that counting uses.
    """
    used = {f"{name} on columns": kind.share for name, kind in DETECTORS.items()}
    used |= {f"{name} on errors": kind.errors_share for name, kind in ERROR_DETECTORS.items()}
    assert used["e_detector on columns"] == POLICY.e_detector_share
    assert used["adwin on columns"] == POLICY.adwin_share
    of_values = used["integrity on columns"] + used["stuck on columns"]
    assert of_values == pytest.approx(POLICY.integrity_share / 2)
    shown = (POLICY.e_detector_errors_share, POLICY.adwin_errors_share, POLICY.ddm_errors_share)
    assert shown == tuple(used[f"{name} on errors"] for name in ("e_detector", "adwin", "ddm"))
    windows = POLICY.psi_share + POLICY.integrity_share / 2 + POLICY.performance_share
    assert sum(used.values()) + windows == pytest.approx(1)


def test_which_rules_a_policy_has() -> None:
    """Integrity is always judged; the drift rules of the other policy, and thresholds that are
    gone, are not.
    """
    assert [
        is_judged(rule, "x", POLICY) for rule in ("missing", "psi", "adwin", "classic.psi")
    ] == [True, True, True, False]
    assert [
        is_judged(rule, "x", CLASSIC) for rule in ("integrity", "psi", "adwin", "classic.ks")
    ] == [
        True,
        False,
        False,
        True,
    ]
    assert is_judged("threshold.latency_p99_ms", "", POLICY)
    assert not is_judged("threshold.ks", "x", POLICY)


def test_a_large_ks_of_few_rows_may_be_chance() -> None:
    """The classic KS needs p < .05 beside .2, as people know it; what may be chance is quiet."""
    from driftgauge.consumer.judging.rules.classic import _ks

    found = [
        _ks(value, p, CLASSIC) for value, p in ((0.3, 0.01), (0.3, 0.2), (0.15, 0.01), (0.1, 0.01))
    ]
    assert [(one.severity, one.quiet) for one in found] == [
        ("warning", False),
        (None, True),
        (None, False),
        (None, True),
    ]
