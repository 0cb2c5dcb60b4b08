"""What people read for the names of statistics, metrics and rules, the same wherever they read
them. Pure. Those of metrics stand in their table (shared/performance/metrics.py).
"""

from typing import Final

from driftgauge.shared.performance import definition

TITLES: Final = {
    "psi": "PSI",
    "ks": "KS",
    "jensen_shannon": "Jensen-Shannon",
    "wasserstein": "Wasserstein (approx.)",
    "chi_squared": "Chi-squared",
    "unseen": "unseen category",
    "schedule": "on schedule",
    "alert": "by an alert",
    "current": "on request",
    "adwin": "ADWIN",
    "ddm": "DDM",
    "e_detector": "E-detector",
    "segment.psi": "drift in a segment",
    "segment.performance": "performance in a segment",
}
IMPROVED: Final = "improvement."


def title(name: str) -> str:
    """Return the title of a statistic, metric or rule; what follows a colon is a class, and may be
    text of strangers.

    Examples
    --------
    >>> title("mae"), title("f1_macro"), title("recall:late"), title("performance.accuracy")
    ('MAE', 'macro F1', 'recall of late', 'accuracy')
    >>> title("improvement.adwin"), title("out_of_range")
    ('ADWIN, improved', 'out of range')
    """
    if name.startswith(IMPROVED):
        return f"{title(name.removeprefix(IMPROVED))}, improved"
    name = name.removeprefix("performance.")
    kind, colon, label = name.partition(":")
    metric = definition(name)
    words = metric.title if metric else TITLES.get(kind) or kind.replace("_", " ")
    return f"{words} of {label}" if colon else words
