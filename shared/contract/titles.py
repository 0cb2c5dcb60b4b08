"""What people read for the names of statistics, metrics and rules, the same wherever they read
them. Pure.
"""

from typing import Final

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
    "roc_auc": "ROC AUC",
    "adwin": "ADWIN",
    "ddm": "DDM",
    "e_detector": "E-detector",
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "mape": "MAPE",
    "wape": "WAPE",
    "f1": "F1",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error",
    "segment.psi": "drift in a segment",
    "segment.performance": "performance in a segment",
}
IMPROVED: Final = "improvement."
AVERAGES: Final = frozenset({"macro", "weighted"})


def title(name: str) -> str:
    """Give the title of a statistic, metric or rule; what follows a colon is a class, and may be
    text of strangers.

    Examples
    --------
    >>> title("mae"), title("f1_macro"), title("recall:late"), title("performance.accuracy"), title("out_of_range")
    ('MAE', 'macro F1', 'recall of late', 'accuracy', 'out of range')
    >>> title("improvement.adwin")
    'ADWIN, improved'
    """
    if name.startswith(IMPROVED):
        return f"{title(name.removeprefix(IMPROVED))}, improved"
    kind, colon, label = name.removeprefix("performance.").partition(":")
    plain, _, average = kind.rpartition("_")
    words = (
        f"{average} {title(plain)}"
        if plain and average in AVERAGES
        else TITLES.get(kind) or kind.replace("_", " ")
    )
    return f"{words} of {label}" if colon else words
