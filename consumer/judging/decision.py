"""The decision on one column of a window: its statistics, what the rules say, and its part of the snapshot."""

from dataclasses import dataclass, field

import msgspec
import numpy as np

from consumer.judging import integrity
from consumer.judging.calibration import Levels
from consumer.judging.histogram import display_histogram, quantiles
from consumer.judging.lifecycle import AlertSeverity, Reading
from consumer.judging.policy import JudgingPolicy
from consumer.judging.statistics import ColumnCounts, statistics_of
from consumer.judging.statistics.psi import threshold
from shared.snapshot import FeatureReport, Severity, Statistic


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers behind a reading."""

    statistic: str
    value: float
    threshold: float | None
    expected: float | None


@dataclass(slots=True)
class Decision:
    """What is decided about a column: readings and evidence by rule, and the report."""

    column: str
    report: FeatureReport
    readings: dict[str, Reading] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)

    @property
    def psi_quiet(self) -> bool:
        """Whether PSI is well below its threshold."""
        reading = self.readings.get("psi")
        return reading is None or reading.quiet


def decide(counts: ColumnCounts, excluded: str, levels: Levels, policy: JudgingPolicy) -> Decision:
    """Judge one column of a window.

    Parameters
    ----------
    counts
        Of the column.
    excluded
        Why the column is left out of drift, empty if it is not.
    """
    statistics = statistics_of(counts)
    decision = Decision(counts.reference.name, _report(counts, statistics))
    if excluded:
        _conclude(decision, "excluded", excluded)
        return decision
    _judge_integrity(decision, counts, levels, policy)
    lacking = _lacking(counts, policy)
    if lacking:
        if decision.report.severity == "ok":
            _conclude(decision, "insufficient_data", lacking)
        return decision
    _judge_psi(decision, counts, levels, policy)
    return decision


def _lacking(counts: ColumnCounts, policy: JudgingPolicy) -> str:
    """Say what PSI needs and does not have; empty if it has enough."""
    if counts.n < policy.min_reference_rows:
        return f"{counts.n} of {policy.min_reference_rows} reference rows"
    if counts.m < policy.min_window_rows:
        return f"{counts.m} of {policy.min_window_rows} window rows"
    return ""


def _judge_psi(decision: Decision, counts: ColumnCounts, levels: Levels, policy: JudgingPolicy) -> None:
    """Alarm when PSI is above its floor by more than chance explains."""
    bins = len(counts.bins[0])
    warning, critical = (
        threshold(floor, levels.psi, bins, counts.n, counts.m) for floor in (policy.psi_warning, policy.psi_critical)
    )
    place = next(i for i, statistic in enumerate(decision.report.statistics) if statistic.name == "psi")
    psi = decision.report.statistics[place]
    decision.report.statistics[place] = msgspec.structs.replace(psi, warning=warning, critical=critical)
    value = psi.value or 0.0
    severity: AlertSeverity | None = "critical" if value > critical else "warning" if value > warning else None
    floor, bound = (policy.psi_critical, critical) if severity == "critical" else (policy.psi_warning, warning)
    summary = f"PSI {value:.3f} is above {bound:.3f}: more than {floor:g}, and not by chance"
    decision.readings["psi"] = Reading(severity, quiet=value < policy.resolve_below * warning, summary=summary)
    decision.evidence["psi"] = Evidence("psi", value, bound, psi.expected)
    if severity is not None and decision.report.severity != "critical":
        _conclude(decision, severity, summary)


def _judge_integrity(decision: Decision, counts: ColumnCounts, levels: Levels, policy: JudgingPolicy) -> None:
    """Alarm when more values are missing, unseen or out of range than chance explains."""
    if not counts.n or not counts.m:
        return
    for check in integrity.checks(counts, levels.integrity):
        share = check.share
        decision.report.shares.append(share)
        bad = check.count >= check.limit
        name = share.name.replace("_", " ")
        summary = f"{share.window:.1%} {name}, reference {share.reference:.1%}"
        limit = check.limit / counts.m
        decision.readings[share.name] = Reading(
            "critical" if bad else None, quiet=check.count < policy.resolve_below * check.limit, summary=summary
        )
        decision.evidence[share.name] = Evidence(f"{share.name}_share", share.window, limit, share.reference)
        if bad:
            _conclude(decision, "critical", summary)


def _report(counts: ColumnCounts, statistics: list[Statistic]) -> FeatureReport:
    return FeatureReport(
        name=counts.reference.name,
        kind="numeric" if counts.is_numeric else "categorical",
        severity="ok",
        reason="",
        statistics=statistics,
        shares=[],
        histogram=display_histogram(counts),
        reference_quantiles=quantiles(counts.reference, counts.reference_cells),
        window_quantiles=quantiles(counts.reference, np.asarray(counts.window)),
    )


def _conclude(decision: Decision, severity: Severity, reason: str) -> None:
    decision.report = msgspec.structs.replace(decision.report, severity=severity, reason=reason)
