"""Titles of metrics, statistics, rules and severities, as people read them."""

from typing import Final

from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.performance import definition
from driftgauge.shared.rules import rule_of
from driftgauge.shared.statistics import STATISTICS

TITLES: Final = {
    "refused": "events are refused",
    "labels_refused": "labels are refused",
    "stage_fails": "the worker fails",
    "model_hangs": "a model call does not return",
    "schedule": "on schedule",
    "alert": "by an alert",
    "current": "on request",
    "ddm": "DDM",
}
"""Titles of triggers of reports, and of detectors that are no rule by themselves. Those of
statistics, metrics and rules are in their own tables.
"""
SEVERITIES: Final = {"ok": "normal", "unknown": "not judged yet"}


def title(name: str) -> str:
    """Return the title of a statistic, metric or rule.

    The part of a name after a colon is a class, which is untrusted text.

    Examples
    --------
    >>> title("mae"), title("f1_macro"), title("recall:late"), title("performance.accuracy")
    ('MAE', 'macro F1', 'recall of late', 'accuracy')
    >>> title("out_of_range"), title("improvement.adwin"), title("blind.no_worker")
    ('out of range', 'ADWIN, improved', 'no worker, the monitor is blind')
    """
    rule = rule_of(name)
    if rule.is_family:
        return ", ".join(filter(None, (title(rule.member(name)), rule.title)))
    if name in STATISTICS:
        return STATISTICS[name].title
    kind, colon, label = name.partition(":")
    metric = definition(name)
    words = metric.title if metric else TITLES.get(kind) or rule_of(kind).title
    return f"{words} of {label}" if colon else words


def subject_of(alert: Alert) -> str:
    """Return what an alert is about: a column, a segment, the whole model, or the monitor."""
    of_all = "the monitor" if rule_of(alert.rule).kind == "monitor" else "the model"
    return alert.feature or alert.segment or of_all


def severity_words(name: str) -> str:
    """Return the title of a severity.

    Examples
    --------
    >>> severity_words("ok"), severity_words("insufficient_data")
    ('normal', 'insufficient data')
    """
    return SEVERITIES.get(name, name.replace("_", " "))
