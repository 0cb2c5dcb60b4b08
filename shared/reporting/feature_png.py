"""One feature of a snapshot as a small picture, for a message: its values now beside those of the
reference.

Needs matplotlib (the extra `plot`), which is imported when a picture is asked for. Pure: the caller
gives the file.
"""

from typing import BinaryIO, Final

from driftgauge.shared.contract.snapshot import FeatureReport, Histogram, Snapshot
from driftgauge.shared.extras import needs
from driftgauge.shared.reporting.png import DIM, draw_histogram, drawable
from driftgauge.shared.wording.plain import clip
from driftgauge.shared.wording.times import minute

MOST_BINS: Final = 200
"""Most bins or categories of a histogram that is drawn, so that drawing has a bound."""
_SIZE, _DPI = (4.6, 2.2), 240  # inches; as wide as a message, with two dots for one


def feature_of(snapshot: Snapshot, names: list[str]) -> FeatureReport | None:
    """Return the first column of some names that a snapshot can show; None if it can show none.

    A column without numbers for the reference cannot be shown, nor one with too many bins.
    """
    columns = {one.name: one for one in snapshot.features}
    if snapshot.prediction is not None:
        columns.setdefault(snapshot.prediction.name, snapshot.prediction)
    found = (columns[name] for name in names if name in columns)
    return next((one for one in found if _is_drawable(one.histogram)), None)


def _is_drawable(histogram: Histogram) -> bool:
    bins = len(histogram.reference)
    sides = histogram.labels if histogram.labels is not None else (histogram.edges or [])[1:]
    return 0 < bins <= MOST_BINS and bins == len(histogram.window) == len(sides)


def write_feature_png(snapshot: Snapshot, feature: FeatureReport, file: BinaryIO) -> None:
    """Draw a feature of a snapshot into a file as PNG, 1104 dots wide and 528 high.

    Parameters
    ----------
    feature
        One that `feature_of` has found.
    file
        Binary file to write to.

    Raises
    ------
    NotInstalled
        If matplotlib is not installed.
    """
    with needs("plot"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    draw_histogram(axes, feature)
    axes.legend(fontsize=8, frameon=False)
    window = snapshot.window
    unit = f"{clip(feature.unit, 16)}; " if feature.unit else ""
    words = f"{unit}window of {window.rows:,} rows until {minute(window.end)} UTC"
    axes.set_xlabel(drawable(words), size=8, color=DIM, parse_math=False)
    figure.savefig(file, format="png", metadata={"Software": None})
