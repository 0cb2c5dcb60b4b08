"""What happened to a column, a metric or a limit, in few words and in its own unit."""

import math
import re
from statistics import NormalDist
from typing import Final

import numpy as np

from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.evaluating.contributions import contributions
from driftgauge.consumer.judging.policy import FAILED, LATENCY
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance import definition
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    ColumnReference,
    NumericReference,
)
from driftgauge.shared.rules import rule_of
from driftgauge.shared.rules.data_quality import MISSING, OUT_OF_RANGE, STUCK, UNSEEN
from driftgauge.shared.rules.limits import THRESHOLD
from driftgauge.shared.wording.numbers import figure, short_figure, with_unit
from driftgauge.shared.wording.plain import clip
from driftgauge.shared.wording.titles import title

SHIFTED: Final = 0.1
"""Least shift of the mean, in standard deviations, that is called one."""
SPREAD: Final = 1.2
"""Least factor of the standard deviation that is called another spread."""


def of_column(
    column: ColumnReference, cells: Ints, rule: str, *, unit: str = "", usual: str = "too"
) -> str:
    """Say what happened to a column, as the rest of a sentence that begins with its name.

    Parameters
    ----------
    cells
        Counts of its cells since the change, shape (cells,).
    rule
        The rule whose alert tells of it.
    unit
        Unit of its numbers; empty if none is known.
    usual
        `too` where higher than usual is a fault, as of a sensor.

    Examples
    --------
    >>> column = NumericReference.build("x", np.arange(101.0))
    >>> later = np.bincount(column.cells(np.arange(20, 101.0)), minlength=len(column.counts))
    >>> of_column(column, later, "psi", unit="kWh")
    'reads about 10 kWh (0.34 sd) too high'
    >>> colour = CategoricalReference.build("c", ["red"] * 9 + ["blue"])
    >>> of_column(colour, np.array([5, 5, 0, 0, 0]), "psi")
    'is “blue” in 50 % of the rows, usually 10 %'
    """
    rows = int(cells.sum())
    if not rows:
        return "changed"
    reference = np.array(column.counts)
    broken = _broken(column, reference, cells, rule, unit)
    if broken:
        return broken
    if isinstance(column, CategoricalReference):
        return _exchanged(column, cells)
    return _moved(column, reference, cells, unit, usual) or _exchanged(column, cells)


def _broken(column: ColumnReference, reference: Ints, cells: Ints, rule: str, unit: str) -> str:
    """Say which values are broken; empty if the rule is about something else, or none are."""
    if rule_of(rule).kind != "data_quality" or rule == STUCK.name:
        return ""
    shares = {MISSING.name: _shares(reference, cells, [column.missing])}
    if isinstance(column, CategoricalReference):
        unseen = list(range(column.unseen, column.missing))
        shares[UNSEEN.name] = _shares(reference, cells, unseen)
    elif column.cuts:
        shares[OUT_OF_RANGE.name] = _shares(reference, cells, [0, column.missing - 1])
    worst = max(shares, key=lambda name: shares[name][1] - shares[name][0])
    name = rule if rule in shares else worst
    usual, now = shares[name]
    what = {MISSING.name: "is missing", UNSEEN.name: "has new values"}.get(name, "")
    if name == OUT_OF_RANGE.name and isinstance(column, NumericReference):
        what = _outside(column, cells, unit)
    return f"{what} {_in_rows(now, usual)}"


def _outside(column: NumericReference, cells: Ints, unit: str) -> str:
    """Say beyond which end of the reference most of the values out of range are."""
    first, last = figure(column.cuts[0]), with_unit(figure(column.cuts[-1]), unit)
    below, above = int(cells[0]), int(cells[column.missing - 1])
    if min(below, above) * 9 > max(below, above):
        return f"is outside of {first} to {last}"
    return f"is above {last}" if above > below else f"is below {with_unit(first, unit)}"


def _shares(reference: Ints, cells: Ints, places: list[int]) -> tuple[float, float]:
    return tuple(  # type: ignore[return-value]  # it has two
        float(counts[places].sum() / max(counts.sum(), 1)) for counts in (reference, cells)
    )


def _exchanged(column: ColumnReference, cells: Ints) -> str:
    """Say which bin's share changed most."""
    found = contributions(column, cells)
    if not found:
        return "is distributed differently"
    first = found[0]
    name = first.label
    if name == "(missing)":
        return f"is missing {_in_rows(first.window, first.reference)}"
    if name == "(unseen)":
        return f"has new values {_in_rows(first.window, first.reference)}"
    quoted = f"“{clip(name, 24)}”" if isinstance(column, CategoricalReference) else clip(name, 24)
    quoted = "a rare value" if name == "(other)" else quoted
    return f"is {quoted} {_in_rows(first.window, first.reference)}"


def _in_rows(now: float, usual: float) -> str:
    return f"in {percent(now)} of the rows, usually {percent(usual)}"


def _moved(column: NumericReference, reference: Ints, cells: Ints, unit: str, usual: str) -> str:
    """Say how far the values moved, or how much wider they spread; empty if they did neither."""
    if not column.cuts:
        return ""
    middles = _middles(column)
    (before, spread), (after, wider) = (
        _moments(middles, counts[:-1].astype(float)) for counts in (reference, cells)
    )
    if not (spread > 0 and math.isfinite(after)):
        return ""
    shift = (after - before) / spread
    ratio = wider / spread
    if abs(shift) < SHIFTED or abs(math.log(max(ratio, 1e-9))) > math.log(SPREAD) + abs(shift):
        if ratio >= SPREAD or ratio <= 1 / SPREAD:
            return f"varies {short_figure(ratio)} times as much as usual"
        return ""
    beyond = cells[0 if shift < 0 else column.missing - 1] > cells.sum() * SHIFTED
    size = with_unit(figure(abs(after - before), 2), unit)
    side = "high" if shift > 0 else "low"
    about = "at least" if beyond else "about"
    side = f"too {side}" if usual == "too" else f"{side}er"
    return f"reads {about} {size} ({figure(abs(shift), 2)} sd) {side}"


def _middles(column: NumericReference) -> Floats:
    """Return a value for each cell but MISSING: a cut itself, or the middle between two."""
    cuts = np.array(column.cuts)
    between = np.concatenate((cuts[:1], (cuts[1:] + cuts[:-1]) / 2, cuts[-1:]))
    middles = np.empty(2 * len(cuts) + 1)
    middles[::2], middles[1::2] = between, cuts
    return middles


def _moments(values: Floats, weights: Floats) -> tuple[float, float]:
    """Return mean and standard deviation of weighted values; NaN without any."""
    total = weights.sum()
    if not total:
        return math.nan, math.nan
    mean = float(weights @ values / total)
    return mean, float(np.sqrt(weights @ (values - mean) ** 2 / total))


def of_alarm(alert: AlertState, *, ordered: bool) -> str:
    """Say what a detector estimates that happened to a column, before any pane tells.

    Parameters
    ----------
    ordered
        Whether its values have an order, as numbers have.

    Examples
    --------
    >>> from driftgauge.shared.contract.alert import AlertEvidence
    >>> evidence = AlertEvidence("log e", 20, 14, None, 0, 0, 0, 0, 0, mean_rank=0.65)
    >>> alert = AlertState("f", "1", "x", "adwin", "warning", "firing", 0, 0, "", evidence=evidence)
    >>> of_alarm(alert, ordered=True)
    'reads about 0.5 sd too high'
    """
    evidence = alert.evidence
    if evidence is None:
        return "changed"
    if ordered and evidence.mean_rank is not None and 0 < evidence.mean_rank < 1:
        shift = math.sqrt(2) * NormalDist().inv_cdf(evidence.mean_rank)  # P(X' > X) of two normals
        if abs(shift) >= SHIFTED:
            side = "high" if shift > 0 else "low"
            return f"reads about {abs(shift):.1f} sd too {side}"
    words = re.sub(r",? over [\d,]+ (?:events|labels)", "", evidence.effect).replace(".0 %", " %")
    return f"changed: {words}" if words else "changed"


def of_performance(alert: AlertState) -> str:
    """Say what happened to a metric, as a clause: 'MAE rose from 1.1 to 4.9 kWh'."""
    evidence = alert.evidence
    where = f" in {clip(alert.segment, 40)}" if alert.segment else ""
    if evidence is None or evidence.expected is None or rule_of(alert.rule).kind != "performance":
        return f"the errors grew{where}"
    name = evidence.statistic
    if definition(name) is None:
        return f"the errors grew{where}"
    moved = "rose" if evidence.value > evidence.expected else "fell"
    now = with_unit(short_figure(evidence.value), evidence.unit)
    return f"{title(name)}{where} {moved} from {short_figure(evidence.expected)} to {now}"


def of_fairness(alert: AlertState) -> str:
    """Say how differently a feature's values are treated, as a sentence without its full stop."""
    name = clip(alert.segment.removesuffix("=*"), 40)
    return f"the values of {name} are treated differently: {alert.summary.partition(':')[0]}"


def of_limit(alert: AlertState) -> str:
    """Say which limit on the model's operation is exceeded, as a sentence without its full stop."""
    evidence = alert.evidence
    metric = THRESHOLD.member(alert.rule)
    if evidence is None or evidence.threshold is None:
        return alert.summary
    value, limit = short_figure(evidence.value), short_figure(evidence.threshold)
    if metric == LATENCY:
        return f"the slowest 1 % of the answers take {value} ms or longer; the limit is {limit} ms"
    if metric == FAILED:
        share, limit = percent(evidence.value), percent(evidence.threshold)
        return f"{share} of the predictions fail; the limit is {limit}"
    return f"{value} {title(metric)}; the limit is {limit}"


def percent(share: float) -> str:
    """Return a share in per cent, with the digits that matter.

    Examples
    --------
    >>> percent(0.123), percent(0.004), percent(0.0), percent(0.0001), percent(0.9999)
    ('12 %', '0.4 %', '0 %', '0.01 %', '99.99 %')
    """
    part = 100 * share
    if 99 < part < 100:
        return f"{part:.2f}".rstrip("0").rstrip(".") + " %"
    return f"{figure(part, 2)} %" if part < 100 else "100 %"
