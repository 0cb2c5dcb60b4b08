"""Words for rules, metrics, statistics, severities and actions: the same on pages, in reports, on
the command line and in headlines.

Of a rule people read plain words first ("Early warning") and the name of its method second
("ADWIN"); both stand in the rule's own row (shared/rules).
"""

from collections.abc import Mapping
from typing import Final

from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.performance import MEASURES, definition
from driftgauge.shared.rules import rule_of
from driftgauge.shared.statistics import STATISTICS

TITLES: Final = {
    "schedule": "on schedule",
    "alert": "by an alert",
    "current": "on request",
    "ddm": "DDM",
    "latency_p99_ms": "99th percentile of the latency",
    "failed_share": "share of failed predictions",
    "events_per_day": "events a day",
    "window_rows": "rows in the window",
    "missing_share": "share of missing values",
    "unseen_share": "share of unseen categories",
    "out_of_range_share": "share of values out of range",
    "events_since_alarm": "events since the last alarm",
    "log e": "log e-value",
    "run": "longest run",
}
"""Titles of triggers of reports, of metrics of the whole window, and of what detectors measure.
Those of statistics, of metrics of labels and of rules are in their own tables.
"""
SEVERITIES: Final = {
    "ok": "OK",
    "insufficient_data": "too few rows",
    "unknown": "not judged",
}
"""Words for severities, where they are not their names."""
ACTIONS: Final[Mapping[str, str]] = {
    "check_service": "check the service",
    "fix_feed": "repair the feed",
    "roll_back": "roll back",
    "review": "review how groups are treated",
    "accept_reference": "accept a new reference",
    "retrain": "retrain",
    "recalibrate": "recalibrate",
    "wait": "wait and watch",
}
"""Words for what to do."""


def title(name: str) -> str:
    """Return the title of a statistic, metric or rule.

    The part of a name after a colon is a class, which is untrusted text.

    Examples
    --------
    >>> title("mae"), title("f1_macro"), title("recall:late"), title("performance.accuracy")
    ('MAE', 'macro F1', 'recall of late', 'accuracy')
    >>> title("out_of_range"), title("improvement.adwin"), title("threshold.psi")
    ('out of range', 'ADWIN', 'PSI')
    """
    rule = rule_of(name)
    if rule.member(name):
        return title(rule.member(name))
    if name in STATISTICS:
        return STATISTICS[name].title
    kind, colon, label = name.partition(":")
    metric = definition(name) or MEASURES.get(name)
    words = metric.title if metric else TITLES.get(kind) or rule.title or kind.replace("_", " ")
    return f"{words} of {label}" if colon else words


def plain_words(name: str) -> str:
    """Return the plain words of a rule, which people read first.

    Examples
    --------
    >>> plain_words("adwin"), plain_words("performance.mae"), plain_words("blind.no_worker")
    ('Early warning', 'Error rising', 'No worker')
    >>> plain_words("threshold.latency_p99_ms"), plain_words("threshold.psi")
    ('Response time', 'Limit exceeded')
    """
    rule = rule_of(name)
    return rule.members.get(rule.member(name), rule.plain)


def method(name: str) -> str:
    """Return the name of a rule's method, which people read second; empty if its plain words say
    all.

    Examples
    --------
    >>> method("adwin"), method("performance.mae"), method("blind.no_worker")
    ('ADWIN', 'MAE', '')
    """
    rule = rule_of(name)
    if rule.is_family and rule.kind == "monitor":
        return ""
    return title(name) if rule.member(name) or rule.title else ""


def rule_words(name: str) -> str:
    """Return the plain words of a rule with its method behind them.

    Examples
    --------
    >>> rule_words("e_detector"), rule_words("blind.lag"), rule_words("performance")
    ('Early warning (E-detector)', 'Worker too slow', 'Error rising')
    """
    found = method(name)
    return f"{plain_words(name)} ({found})" if found else plain_words(name)


def subject_of(alert: Alert) -> str:
    """Return what an alert is about: a column, a segment, the whole model, or the monitor."""
    of_all = "the monitor" if rule_of(alert.rule).kind == "monitor" else "the model"
    return alert.feature or alert.segment or of_all


def alert_words(alert: Alert) -> str:
    """Return what an alert tells: the words of its rule, and its summary, which may begin with
    them.
    """
    words = rule_words(alert.rule)
    return alert.summary if alert.summary.startswith(words) else f"{words}: {alert.summary}"


def severity_words(name: str) -> str:
    """Return the title of a severity.

    Examples
    --------
    >>> severity_words("ok"), severity_words("insufficient_data"), severity_words("critical")
    ('OK', 'too few rows', 'critical')
    """
    return SEVERITIES.get(name, name.replace("_", " "))


def action_words(name: str) -> str:
    """Return what a recommended action is called.

    Examples
    --------
    >>> action_words("fix_feed")
    'repair the feed'
    """
    return ACTIONS.get(name, name.replace("_", " "))
