"""A column's part of a snapshot: all its statistics, shares and histograms, and its severity."""

import msgspec

from driftgauge.consumer.judging.evaluating.category_names import vanished
from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.evaluating.histogram import (
    display_histogram,
    quantiles,
    reference_quantiles,
)
from driftgauge.consumer.judging.evaluating.reading import Reading
from driftgauge.consumer.judging.ordered.day_bins import WEEK
from driftgauge.shared.contract.severity import Severity, rank, worst
from driftgauge.shared.contract.snapshot import FeatureReport, Statistic
from driftgauge.shared.statistics import statistics_of
from driftgauge.shared.statistics.psi import PSI

EXCHANGEABLE = (
    "The rows are taken as exchangeable: the reference has no times, so whether they are ordered "
    "was not tested. "
    "`driftgauge calibrate` tests it with a file that has them."
)
OFFER = (
    "More than 30 % of the last 30 days were in alarm: the process has moved away from its "
    "reference. If this is how it is "
    "now, accept a new reference."
)


def column_reports(evaluation: Evaluation) -> list[FeatureReport]:
    """Report every column of an evaluated window, in stream order."""
    bad: dict[int, list[Reading]] = {}
    drift_first = reversed([*evaluation.readings(set())])  # integrity is read before drift
    for column, _, reading, _ in (*drift_first, *evaluation.weekly_readings(set())):
        if reading.severity is not None:
            bad.setdefault(column, []).append(reading)
    return [
        _report(evaluation, column, bad.get(column, []))
        for column in range(len(evaluation.version.reference.columns))
    ]


def _report(evaluation: Evaluation, column: int, bad: list[Reading]) -> FeatureReport:
    version = evaluation.version
    counts = version.counts_of(evaluation.cells, column)
    severity, reason = _conclusion(evaluation, column, bad)
    features = version.schema.features
    return FeatureReport(
        name=counts.reference.name,
        kind="numeric" if counts.is_numeric else "categorical",
        severity=severity,
        reason=reason,
        statistics=[
            _with_thresholds(statistic, evaluation, column) for statistic in statistics_of(counts)
        ],
        shares=evaluation.shares(column),
        histogram=display_histogram(counts),
        reference_quantiles=reference_quantiles(counts.side),
        window_quantiles=quantiles(counts.side, counts.window),
        judged=features[column].judged_as if column < len(features) else "",
        vanished=vanished(counts),
        unit=version.unit(column),
    )


def _conclusion(evaluation: Evaluation, column: int, bad: list[Reading]) -> tuple[Severity, str]:
    """Say how a column stands, and why: all that is bad, the worst first, so that what is beyond a
    range does not hide how far the column moved.
    """
    excluded = evaluation.version.excluded(column)
    if excluded:
        return "excluded", excluded
    if bad:
        severity = worst([reading.severity for reading in bad if reading.severity is not None])
        ordered = sorted(bad, key=lambda reading: rank(reading.severity or ""))
        return severity, "; ".join(dict.fromkeys(reading.summary for reading in ordered))
    found = evaluation.version.calibrated(column)
    if found is not None and found.order == "uncalibrated":
        return "uncalibrated", f"integrity only, {found.reason}"
    if found is not None and found.order == "ordered":
        lacking = evaluation.lacking_week(column)
        return ("insufficient_data", lacking) if lacking else ("ok", "")
    return ("insufficient_data", evaluation.lacking) if evaluation.lacking else ("ok", "")


def _with_thresholds(statistic: Statistic, evaluation: Evaluation, column: int) -> Statistic:
    if statistic.name == PSI and column in evaluation.version.ordered:
        return _of_the_week(evaluation, column)
    if (
        statistic.name != PSI
        or evaluation.lacking
        or not evaluation.version.is_exchangeable(column)
    ):
        return statistic
    policy, part = evaluation.policy, evaluation.part_psi.get(column)
    return msgspec.structs.replace(
        statistic,
        note="" if part is None else f"{evaluation.version.parts[column].words}: {part:.3f}",
        warning=evaluation.psi_threshold(column, policy.psi_warning),
        critical=evaluation.psi_threshold(column, policy.psi_critical),
    )


def _of_the_week(evaluation: Evaluation, column: int) -> Statistic:
    """Return the PSI that an ordered column is judged by: that of the last 7 whole days."""
    lacking = evaluation.lacking_week(column)
    if lacking:
        return Statistic(PSI, None, note=lacking)
    found, part = evaluation.version.calibrated(column), evaluation.part_psi.get(column)
    beside = (
        ""
        if part is None
        else f"; {evaluation.version.parts[column].words}: {part:.3f} in the window, not judged"
    )
    return Statistic(
        PSI,
        float(evaluation.week_psi[column]),
        expected=found.expected if found is not None else None,
        warning=evaluation.week_threshold(column),
        critical=evaluation.week_critical(column),
        note=f"of the last {WEEK} whole days{beside}",
    )


def notes(evaluation: Evaluation) -> list[str]:
    """Return the notes of a snapshot: the basis of its verdict, and whether to accept a new
    reference.
    """
    calibration, number = evaluation.version.calibration, evaluation.version.number
    said = [f"Held against reference {number}, which was accepted in production."] if number else []
    if calibration is None:
        return [*said, EXCHANGEABLE]
    if (
        evaluation.version.ordered
        and calibration.realised is not None
        and calibration.alarm_share is not None
    ):
        said.append(
            f"{len(evaluation.version.ordered)} columns are ordered in time and judged once a day "
            f"on {WEEK} days. Replayed "
            f"weeks of the reference gave {calibration.realised:.1f} false episodes per 30 days "
            f"(asked: "
            f"{calibration.target:g}), {calibration.alarm_share:.0%} of the time in alarm."
        )
    if evaluation.days is not None and evaluation.days.offers_reference:
        said.append(OFFER)
    return said
