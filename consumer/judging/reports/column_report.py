"""A column's part of a snapshot: how it stands, and its numbers.

How it stands is said at its moment, of its evaluation. The numbers hang on the counts alone, so
they can be added later, to many reports at once.
"""

import msgspec

from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.evaluating.reading import Reading
from driftgauge.consumer.judging.ordered.day_bins import WEEK
from driftgauge.consumer.judging.reports.column_numbers import ColumnNumbers, numbers_of
from driftgauge.consumer.judging.reports.histogram import NO_BARS, reference_quantiles
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.severity import Severity, rank, worst
from driftgauge.shared.contract.snapshot import FeatureReport, Statistic
from driftgauge.shared.reference.profile import NumericReference
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
    drafts = column_drafts(evaluation)
    numbers = version_numbers(evaluation.version, evaluation.cells[None])[0]
    return [
        with_numbers(draft, found, judged_whole=column in evaluation.version.ordered)
        for column, (draft, found) in enumerate(zip(drafts, numbers, strict=True))
    ]


def version_numbers(version: JudgedVersion, windows: Ints) -> list[list[ColumnNumbers]]:
    """Return the numbers of every column of each window, shape (windows, cells)."""
    by_column = [
        numbers_of(side, version.part(windows, column)) for column, side in enumerate(version.sides)
    ]
    return [list(of_window) for of_window in zip(*by_column, strict=True)]


def column_drafts(evaluation: Evaluation) -> list[FeatureReport]:
    """Report how every column stands, without the numbers that hang on its counts alone
    (`with_numbers`): of the statistics there is the PSI, as it is judged.
    """
    bad: dict[int, list[Reading]] = {}
    drift_first = reversed([*evaluation.readings(set())])  # integrity is read before drift
    for column, _, reading, _ in (*drift_first, *evaluation.weekly_readings(set())):
        if reading.severity is not None:
            bad.setdefault(column, []).append(reading)
    return [
        _draft(evaluation, column, bad.get(column, []))
        for column in range(len(evaluation.version.reference.columns))
    ]


def with_numbers(
    draft: FeatureReport, numbers: ColumnNumbers, *, judged_whole: bool = False
) -> FeatureReport:
    """Return a report with the numbers of its column.

    Parameters
    ----------
    judged_whole
        Whether the draft's PSI is the one that is judged, as of whole days; else it has only the
        thresholds of that of the window.
    """
    judged = draft.statistics[0]
    return msgspec.structs.replace(
        draft,
        statistics=[
            one
            if one.name != PSI
            else judged
            if judged_whole
            else msgspec.structs.replace(
                one,
                warning=judged.warning,
                critical=judged.critical,
                note=judged.note or one.note,
            )
            for one in numbers.statistics
        ],
        histogram=numbers.histogram,
        window_quantiles=numbers.quantiles,
        vanished=numbers.vanished,
    )


def _draft(evaluation: Evaluation, column: int, bad: list[Reading]) -> FeatureReport:
    version = evaluation.version
    side = version.sides[column]
    severity, reason = _conclusion(evaluation, column, bad)
    features = version.schema.features
    return FeatureReport(
        name=side.column.name,
        kind="numeric" if isinstance(side.column, NumericReference) else "categorical",
        severity=severity,
        reason=reason,
        statistics=[_judged_psi(evaluation, column)],
        shares=evaluation.shares.get(column, []),
        histogram=NO_BARS,
        reference_quantiles=reference_quantiles(side),
        window_quantiles=[],
        judged=features[column].judged_as if column < len(features) else "",
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
        lacking = evaluation.week.lacking[column]
        return ("insufficient_data", lacking) if lacking else ("ok", "")
    return ("insufficient_data", evaluation.lacking) if evaluation.lacking else ("ok", "")


def _judged_psi(evaluation: Evaluation, column: int) -> Statistic:
    """Return the PSI of whole days, or the thresholds of that of the window; neither if it is not
    judged.
    """
    if column in evaluation.version.ordered:
        return _of_the_week(evaluation, column)
    if evaluation.lacking or not evaluation.version.is_exchangeable(column):
        return Statistic(PSI, None)
    policy, part = evaluation.policy, evaluation.part_psi.get(column)
    return Statistic(
        PSI,
        None,
        note="" if part is None else f"{evaluation.version.parts[column].words}: {part:.3f}",
        warning=evaluation.psi_threshold(column, policy.psi_warning),
        critical=evaluation.psi_threshold(column, policy.psi_critical),
    )


def _of_the_week(evaluation: Evaluation, column: int) -> Statistic:
    """Return the PSI that an ordered column is judged by: that of the last 7 whole days."""
    week, part, beside = evaluation.week, evaluation.version.parts.get(column), ""
    if week.lacking[column]:
        return Statistic(PSI, None, note=week.lacking[column])
    if part is not None and not evaluation.lacking:
        psi = part.psi(evaluation.cells, evaluation.rows)
        beside = f"; {part.words}: {psi:.3f} in the window, not judged"
    return Statistic(
        PSI,
        float(week.psi[column]),
        expected=week.expected(column),
        warning=week.threshold[column],
        critical=week.critical(column),
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
