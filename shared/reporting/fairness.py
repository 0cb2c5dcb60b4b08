"""How alike the segments of a feature are treated, as a report shows it: folded, unless a policy
limits one of its measures.
"""

from collections.abc import Sequence
from typing import NamedTuple

from driftgauge.shared.contract.severity import ALARMING, Severity, worst
from driftgauge.shared.contract.snapshot import (
    FairnessReport,
    SegmentFeature,
    SegmentReport,
)
from driftgauge.shared.wording.numbers import decimal, short_figure
from driftgauge.shared.wording.titles import title


class MeasureRow(NamedTuple):
    """A measure as it is shown: with the rates of the segments that have the least and the most,
    and its limits in words.
    """

    report: FairnessReport
    least: float | None
    most: float | None
    limits: list[str]


class FairnessTable(NamedTuple):
    """The fairness of a feature: a sentence, its measures, the rates that are known, and the
    segments with rows. Severity is None without a limit.
    """

    sentence: str
    severity: Severity | None
    measures: list[MeasureRow]
    rates: list[str]
    groups: list[SegmentReport]


def fairness_table(feature: SegmentFeature, outcome: str) -> FairnessTable:
    """Arrange the measures of a feature and the rates behind them.

    Examples
    --------
    >>> report = FairnessReport(
    ...     "selection_rate_ratio", 0.62, 0.55, 0.7, 0.9, "selection_rate", "f", "m", 900
    ... )
    >>> fairness_table(SegmentFeature("sex", [], fairness=[report]), "yes").sentence
    'Fairness, of “yes”: selection-rate ratio 0.620'
    """
    groups = [one for one in feature.segments if any(rate.rows for rate in one.rates)]
    rates = [rate.name for rate in groups[0].rates] if groups else []
    limited = [one.severity for one in feature.fairness if one.severity is not None]
    return FairnessTable(
        f"Fairness, of “{outcome}”: {_told(feature.fairness)}",
        worst(limited) if limited else None,
        [
            MeasureRow(
                one,
                _rate(groups, one.least, one.rate),
                _rate(groups, one.most, one.rate),
                _limits(one),
            )
            for one in feature.fairness
        ],
        rates,
        groups,
    )


def _told(reports: Sequence[FairnessReport]) -> str:
    """Name the measures that are beyond a limit, or else the first that has a value."""
    known = [one for one in reports if one.value is not None]
    bad = [one for one in known if one.severity in ALARMING]
    parts = [f"{title(one.name)} {decimal(one.value or 0.0)}" for one in bad or known[:1]]
    return ", ".join(parts) or "not known"


def _limits(report: FairnessReport) -> list[str]:
    limits = {"warning": report.warning, "critical": report.critical}
    return [f"{name} {short_figure(limit)}" for name, limit in limits.items() if limit is not None]


def _rate(groups: Sequence[SegmentReport], value: str, rate: str) -> float | None:
    return next(
        (
            found.value
            for one in groups
            if one.value == value
            for found in one.rates
            if found.name == rate
        ),
        None,
    )
