"""Inhibition: which alert explains another, so that people are notified of one cause once.

Broken values explain the drift that they cause, and an online alarm of broken values explains the
window's finding of the same. A fall of the performance explains the drift that goes with it: people
are notified of the fall, and the drift is recorded with it. Ordered columns drift in episodes of
the whole model, and their thresholds are calibrated to the number of episodes. An episode lasts as
long as one of the columns fires. The column that has fired longest represents it, and only that one
has reminders. A column that begins within 7 days of another is based on the same rows, and is
notified only if it is critical; one that begins later is notified once.

A segment is a part of all rows: a fall of the model's performance explains the falls of its
segments and names them. A drift within a segment is explained if each of its columns has an alert
over all rows, or by a fall of the performance of the model or the segment. Nothing explains unequal
treatment, of which a person has to judge.

An explained alert is recorded with `inhibited_by` and not notified. If the cause ends and the alert
does not, people are notified then. Whether broken values explain a drift is measured: the PSI of
the column without the bad cells must be quiet. With too few rows to tell, they explain it.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.ordered.day_bins import WEEK
from driftgauge.consumer.judging.ordered.week import DAY_MS
from driftgauge.shared.rules import rule_of
from driftgauge.shared.statistics.psi import population_stability


def cause_of(alert: AlertState, others: Sequence[AlertState], evaluation: Evaluation) -> str:
    """Return the fingerprint of the open alert that explains another one of the same version; empty
    if there is none.
    """
    rule = rule_of(alert.rule)
    if rule.kind == "fairness":
        return ""
    if alert.segment:
        return _whole(alert, [other for other in others if not other.segment]) or _own_fall(
            alert, others
        )
    broken = rule.kind == "data_quality"
    if not alert.feature or (broken and rule.online):
        return ""
    causes = [
        other.fingerprint
        for other in others
        if other.feature == alert.feature
        and rule_of(other.rule).kind == "data_quality"
        and other.fingerprint != alert.fingerprint
        and (not broken or (rule_of(other.rule).online and other.state == "firing"))
    ]
    column = evaluation.version.place.get(alert.feature)
    if causes and column is not None and (broken or is_explained(evaluation, column)):
        return causes[0]
    return "" if broken else _fall(others) or _episode(alert, others)


def _fall(others: Iterable[AlertState]) -> str:
    """Return the fingerprint of a critical performance alert that fires; empty if there is none."""
    falls = (
        other
        for other in others
        if rule_of(other.rule).kind == "performance"
        and not other.segment
        and other.severity == "critical"
    )
    return next((other.fingerprint for other in falls if other.state == "firing"), "")


def _whole(alert: AlertState, others: Sequence[AlertState]) -> str:
    """Return the fingerprint of the alert over all rows that explains the alert of a segment,
    broken values first; empty if there is none.
    """
    if rule_of(alert.rule).kind == "drift":
        first = sorted(others, key=lambda other: rule_of(other.rule).kind != "data_quality")
        by_column = {
            other.feature: other.fingerprint
            for other in reversed(first)
            if other.feature in alert.columns
        }
        if alert.columns and len(by_column) == len(set(alert.columns)):
            return by_column[alert.columns[0]]
    return _fall(others)


def _own_fall(alert: AlertState, others: Iterable[AlertState]) -> str:
    """Return the fingerprint of the alert of a performance fall in the same segment; empty if there
    is none.
    """
    if rule_of(alert.rule).kind != "drift":
        return ""
    falls = (
        other
        for other in others
        if rule_of(other.rule).kind == "performance" and other.segment == alert.segment
    )
    return next((other.fingerprint for other in falls if other.state == "firing"), "")


def _episode(alert: AlertState, others: Sequence[AlertState]) -> str:
    """Return the fingerprint of the alert that represents the episode of an ordered column's alert;
    empty if that is this one, or if this one is to be notified by itself.

    Alerts that begin at the same moment are notified as one group; after that, one of them
    represents the episode.
    """
    if not rule_of(alert.rule).weekly:
        return ""
    causes = {other.fingerprint for other in others if not rule_of(other.rule).weekly}
    told = [
        other
        for other in others
        if rule_of(other.rule).weekly
        and other.state == "firing"
        and other.notified is not None
        and other.inhibited_by not in causes
    ]
    first = min(told, key=_age, default=None)
    if first is None or _age(first) >= _age(alert):
        return ""
    if alert.notified is not None:
        return first.fingerprint
    soon = any(0 < alert.started - other.started < WEEK * DAY_MS for other in told)
    return first.fingerprint if soon and alert.severity != "critical" else ""


def _age(alert: AlertState) -> tuple[int, str]:
    return alert.started, alert.fingerprint


def is_explained(evaluation: Evaluation, column: int) -> bool:
    """Return whether a column does not drift without its bad cells, that is, if they had the
    reference's share.
    """
    if evaluation.lacking:
        return True
    profile = evaluation.version.reference.columns[column]
    reference = np.array(profile.counts, dtype=np.int64)
    window = evaluation.version.part(evaluation.cells, column).copy()
    offset = int(evaluation.version.reference.offsets[column])
    bad = np.zeros(len(window), dtype=bool)
    for check in evaluation.version.checks:
        if check.column == column:
            bad[check.cells - offset] = True
    rows = int(window[~bad].sum())
    if not rows or not reference[~bad].any():
        return True
    scale = rows / reference[~bad].sum()
    window[bad] = np.rint(reference[bad] * scale).astype(np.int64)
    bins = evaluation.version.bins_for(rows)
    place = bins.bin_of_cell[offset : offset + len(window)] - int(bins.starts[column])
    size = int(bins.sizes[column])
    p, q = (
        np.bincount(place, weights=cells, minlength=size).astype(np.int64)
        for cells in (reference, window)
    )
    limit = _drifts_from(evaluation, column, rows)
    return float(population_stability(p, q)) < evaluation.policy.resolve_below * limit


def _drifts_from(evaluation: Evaluation, column: int, rows: int) -> float:
    """Return the PSI of some rows above which a column drifts. For an ordered column it comes from
    replay, not from a closed form.

    That threshold is for 7 days; a shorter window varies more, so at worst less is explained and
    people are notified of both.
    """
    if column in evaluation.version.ordered and not evaluation.week.lacking_days:
        return evaluation.week.threshold[column]
    return evaluation.psi_threshold(column, evaluation.policy.psi_warning, rows)
