"""The picture of a simulation, a PNG file by matplotlib: distributions before and after the
injection, and the model's errors over time.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from driftgauge.models.drift.posting import Posted
from driftgauge.models.drift.report import Record, errors
from driftgauge.shared.contract.events import Value
from driftgauge.shared.extras import needs

BEFORE, AFTER, MARK = "#2160b4", "#b42318", "#6b7280"
BINS: Final = 40
TOP: Final = 8
"""Most categories that are drawn."""
LONGEST_TEXT: Final = 84
"""Characters of a title or name; the rest is cut off."""
SMOOTHING: Final = 15
"""The moving mean of the errors spans this fraction of the events: one fifteenth."""


def draw(record: Record, posted: Sequence[Posted], features: Sequence[str], path: Path) -> None:
    """Write the picture of a simulation.

    Parameters
    ----------
    features
        The features that drifted; the first two are drawn, beside labels and predictions.
    path
        PNG file to write.

    Raises
    ------
    NotInstalled
        If matplotlib is not installed.
    """
    with needs("plot"):
        from matplotlib.figure import Figure

    parts = posted[: record.injected_at], posted[record.injected_at :]
    columns: list[tuple[str, list[list[Value]]]] = [
        (f"feature {name}", [[one.row.features.get(name) for one in part] for part in parts])
        for name in features[:2]
    ]
    columns.append(("prediction", [[one.prediction for one in part] for part in parts]))
    if record.before:
        columns.append(("true value", [[one.row.label for one in part] for part in parts]))
    figure = Figure(figsize=(4 * len(columns), 7.6), layout="constrained")
    grid = figure.add_gridspec(2, len(columns))
    for place, (name, values) in enumerate(columns):
        _distribution(figure.add_subplot(grid[0, place]), name, values)
    _errors_over_time(figure.add_subplot(grid[1, :]), record, posted)
    figure.suptitle(
        _safe(
            f"{record.model} {record.version}: {record.drift}, {record.shape}, intensity "
            f"{record.intensity:g}"
        )
    )
    figure.savefig(path, dpi=110)


def _distribution(axes: Any, name: str, parts: Sequence[Sequence[Value]]) -> None:
    """Draw the distribution before and after; missing categories are a bar of their own."""
    series = [pd.Series(list(part), dtype=object) for part in parts]
    numeric = not any(isinstance(value, str) for part in parts for value in part)
    if numeric:
        _histogram(axes, [pd.to_numeric(one) for one in series])
    else:
        shares = pd.DataFrame(
            [one.fillna("missing").value_counts(normalize=True) for one in series]
        ).fillna(0.0)
        shown = shares.sum().sort_values(ascending=False).index[:TOP]
        places = np.arange(len(shown))
        for offset, colour, label, row in ((-0.2, BEFORE, "before", 0), (0.2, AFTER, "after", 1)):
            axes.bar(places + offset, shares.iloc[row][shown], 0.4, color=colour, label=label)
        axes.set_xticks(places, [_safe(str(one)) for one in shown], rotation=30, ha="right")
    axes.set_title(_safe(name))
    axes.set_ylabel("share of rows")
    axes.legend()


def _histogram(axes: Any, series: "Sequence[pd.Series[float]]") -> None:
    present = pd.concat(series).dropna()
    low, high = np.quantile(present, [0.005, 0.995]) if len(present) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, BINS)
    for one, colour, label in zip(series, (BEFORE, AFTER), ("before", "after"), strict=True):
        missing = f", {one.isna().mean():.0%} missing" if one.isna().any() else ""
        weights = np.full(int(one.notna().sum()), 1 / max(len(one), 1))
        axes.hist(
            one.dropna().clip(edges[0], edges[-1]),
            edges,
            weights=weights,
            histtype="stepfilled",
            alpha=0.45,
            color=colour,
            label=label + missing,
        )


def _errors_over_time(axes: Any, record: Record, posted: Sequence[Posted]) -> None:
    """Draw the moving mean of the errors over the events, the injection, and the alerts."""
    found = pd.Series(errors(posted))
    width = max(len(found) // SMOOTHING, 20)
    classes = bool(record.before) and "accuracy" in record.before
    if record.before:
        mean = found.rolling(width, min_periods=width // 2).mean()
        axes.plot(1 - mean if classes else mean, color=MARK, label=f"mean of {width} events")
    axes.set_ylabel(
        "accuracy" if classes else "mean absolute error" if record.before else "no true values"
    )
    axes.axvline(record.injected_at, color=AFTER, linestyle="--", label="injection")
    marks = {"critical": AFTER, "warning": "#b7791f"}
    alerts = [*record.verdict.false_alarms, *record.verdict.findings]
    for severity, colour in marks.items():
        events = [one.event for one in alerts if one.severity == severity]
        if events:
            axes.plot(
                events,
                np.full(len(events), 0.02),
                "^",
                color=colour,
                label=f"{severity} alerts ({len(events)})",
                transform=axes.get_xaxis_transform(),
                clip_on=False,
            )
    axes.set_xlim(0, max(len(posted), 1))
    axes.set_xlabel("events")
    axes.legend(loc="best")


def _safe(text: str) -> str:
    """Make untrusted text safe to draw: matplotlib must not read a formula or control character."""
    shown = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text
    ).replace("$", r"\$")
    return shown if len(shown) <= LONGEST_TEXT else shown[:LONGEST_TEXT] + "…"
