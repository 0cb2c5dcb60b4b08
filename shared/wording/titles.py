"""What people read for the names of metrics, statistics and rules, and for severities."""

from typing import Final

from driftgauge.shared.performance import definition
from driftgauge.shared.statistics import STATISTICS

TITLES: Final = {
    "unseen": "unseen category",
    "refused": "events are refused",
    "schedule": "on schedule",
    "alert": "by an alert",
    "current": "on request",
    "adwin": "ADWIN",
    "ddm": "DDM",
    "e_detector": "E-detector",
    "segment.psi": "drift in a segment",
    "segment.performance": "performance in a segment",
}
"""Of rules and triggers; those of statistics and metrics stand in their own tables."""
SEVERITIES: Final = {"ok": "normal", "unknown": "not judged yet"}
IMPROVED: Final = "improvement."


def title(name: str) -> str:
    """Return the title of a statistic, metric or rule.

    What follows a colon in the name is a class, which others named.

    Examples
    --------
    >>> title("mae"), title("f1_macro"), title("recall:late"), title("performance.accuracy")
    ('MAE', 'macro F1', 'recall of late', 'accuracy')
    >>> title("out_of_range"), title("improvement.adwin")
    ('out of range', 'ADWIN, improved')
    """
    if name.startswith(IMPROVED):
        return f"{title(name.removeprefix(IMPROVED))}, improved"
    if name in STATISTICS:
        return STATISTICS[name].title
    name = name.removeprefix("performance.")
    kind, colon, label = name.partition(":")
    metric = definition(name)
    words = metric.title if metric else TITLES.get(kind) or kind.replace("_", " ")
    return f"{words} of {label}" if colon else words


def severity_words(name: str) -> str:
    """Return what people read for a severity.

    Examples
    --------
    >>> severity_words("ok"), severity_words("insufficient_data")
    ('normal', 'insufficient data')
    """
    return SEVERITIES.get(name, name.replace("_", " "))
