"""A column's part of a snapshot: all its statistics, shares and pictures, and what the rules conclude."""

import msgspec

from consumer.judging.evaluation import PSI, Evaluation
from consumer.judging.histogram import display_histogram, quantiles
from consumer.judging.lifecycle import Reading, worst
from consumer.judging.statistics import ColumnCounts, statistics_of
from shared.snapshot import FeatureReport, Severity, Statistic


def column_reports(evaluation: Evaluation) -> list[FeatureReport]:
    """Report every column of an evaluated window, in stream order."""
    bad: dict[int, list[Reading]] = {}
    for column, _, reading, _ in evaluation.readings(set()):
        bad.setdefault(column, []).append(reading)
    return [_report(evaluation, column, bad.get(column, [])) for column in range(len(evaluation.version.reference.columns))]


def _report(evaluation: Evaluation, column: int, bad: list[Reading]) -> FeatureReport:
    version = evaluation.version
    counts = ColumnCounts(version.reference.columns[column], version.part(evaluation.cells, column))
    severity, reason = _conclusion(evaluation, column, bad)
    return FeatureReport(
        name=counts.reference.name,
        kind="numeric" if counts.is_numeric else "categorical",
        severity=severity,
        reason=reason,
        statistics=[_with_thresholds(statistic, evaluation, column) for statistic in statistics_of(counts)],
        shares=evaluation.shares(column),
        histogram=display_histogram(counts),
        reference_quantiles=quantiles(counts.reference, counts.reference_cells),
        window_quantiles=quantiles(counts.reference, counts.window),
    )


def _conclusion(evaluation: Evaluation, column: int, bad: list[Reading]) -> tuple[Severity, str]:
    """Say how a column stands, and why: the worst reading first."""
    excluded = evaluation.version.excluded(column)
    if excluded:
        return "excluded", excluded
    if bad:
        severity = worst([reading.severity for reading in bad if reading.severity is not None])
        return severity, next(reading.summary for reading in bad if reading.severity == severity)
    return ("insufficient_data", evaluation.lacking) if evaluation.lacking else ("ok", "")


def _with_thresholds(statistic: Statistic, evaluation: Evaluation, column: int) -> Statistic:
    if statistic.name != PSI or evaluation.lacking:
        return statistic
    policy = evaluation.policy
    return msgspec.structs.replace(
        statistic,
        warning=evaluation.psi_threshold(column, policy.psi_warning),
        critical=evaluation.psi_threshold(column, policy.psi_critical),
    )
