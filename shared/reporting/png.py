"""A snapshot as one picture, for chats and mails that show no page: verdict, PSI of all features,
the worst histograms.

Needs matplotlib (the extra `plot`), which is imported when a picture is asked for. Pure: the caller
gives the file.
"""

import itertools
from typing import TYPE_CHECKING, BinaryIO, Final

from driftgauge.shared.contract.severity import Severity
from driftgauge.shared.contract.snapshot import FeatureReport, Histogram, Snapshot
from driftgauge.shared.extras import needs
from driftgauge.shared.reporting.arranged import statistic, worst_first
from driftgauge.shared.wording.numbers import score
from driftgauge.shared.wording.plain import clip
from driftgauge.shared.wording.times import moment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_FEATURES: Final = 40
"""Most rows of the chart of all features; the others are counted below it."""
HISTOGRAMS: Final = 6
COLOURS: Final[dict[Severity, str]] = {
    "critical": "#b42318",
    "warning": "#8a5a00",
    "unreadable": "#8a5a00",
    "ok": "#1a7f37",
    "insufficient_data": "#59626f",
    "uncalibrated": "#59626f",
    "excluded": "#59626f",
}
REFERENCE, WINDOW, INK, DIM = "#b4bcc8", "#2160b4", "#1b1f24", "#59626f"
_WIDTH, _DPI = 11.0, 100
_ROW, _HISTOGRAM, _HEAD = 0.24, 2.1, 1.1  # heights in inches


def write_png(snapshot: Snapshot, file: BinaryIO) -> None:
    """Draw a snapshot into a file as PNG.

    Parameters
    ----------
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
    found = [*snapshot.features, *([snapshot.prediction] if snapshot.prediction else [])]
    features = sorted((one for one in found if one.severity != "excluded"), key=worst_first)
    pictures = [one for one in features if one.histogram.reference][:HISTOGRAMS]
    shown = features[:MOST_FEATURES]
    lines, charts = _ROW * max(len(shown), 2) + 0.9, _HISTOGRAM * -(-len(pictures) // 3)
    figure = Figure(figsize=(_WIDTH, _HEAD + lines + charts), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    heights = [_HEAD, lines, *([charts] if pictures else [])]
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _heading(parts[0], snapshot)
    _all_features(parts[1].subplots(), shown, len(features) - len(shown))
    for place, feature in enumerate(pictures):
        draw_histogram(parts[2].add_subplot(-(-len(pictures) // 3), 3, place + 1), feature)
    figure.savefig(file, format="png", metadata={"Software": None})


def _heading(part: "Figure", snapshot: Snapshot) -> None:  # a SubFigure, which has the same methods
    window = snapshot.window
    lines = [
        (0.86, 15, INK, f"{clip(snapshot.model, 64)} {clip(snapshot.version, 40)}"),
        (0.52, 12, COLOURS[snapshot.severity], clip(snapshot.verdict, 105)),
        (
            0.22,
            9,
            DIM,
            (
                f"{moment(window.start)} to {moment(window.end)}, {window.rows:,} rows, reference "
                f"{snapshot.reference_rows:,} rows"
            ),
        ),
    ]
    for height, size, colour, text in lines:
        part.text(
            0.012, height, drawable(text), size=size, color=colour, va="center", parse_math=False
        )


def _all_features(axes: "Axes", features: list[FeatureReport], hidden: int) -> None:
    """Draw a bar for each feature's PSI, with its thresholds as ticks."""
    values = [(one, statistic(one, "psi")) for one in features]
    for place, (feature, psi) in enumerate(values):
        value = psi.value if psi is not None and psi.value is not None else 0.0
        axes.barh(place, value, height=0.62, color=COLOURS[feature.severity])
        axes.text(
            value,
            place,
            f" {score(value) if psi and psi.value is not None else 'not judged'}",
            va="center",
            size=8,
            color=INK,
        )
        for limit in (psi.warning, psi.critical) if psi is not None else ():
            if limit is not None:
                axes.plot([limit, limit], [place - 0.4, place + 0.4], color=INK, linewidth=0.9)
    axes.set_yticks(
        range(len(features)), [drawable(clip(one.name, 34)) for one in features], size=8
    )
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_ylim(max(len(features), 1) - 0.4, -0.6)
    axes.margins(x=0.08)
    axes.set_xlim(left=0)
    more = f", {hidden} more features not shown" if hidden else ""
    axes.set_xlabel(f"PSI; ticks are the warning and critical thresholds{more}", size=8, color=DIM)
    _plain(axes)


def draw_histogram(axes: "Axes", feature: FeatureReport) -> None:
    """Draw the window of a feature beside its reference, under the feature's name."""
    shown = feature.histogram
    if (
        shown.labels is None
        and shown.edges
        and all(b > a for a, b in zip(shown.edges, shown.edges[1:], strict=False))
    ):
        _densities(axes, shown, shown.edges)
    else:
        _bars(axes, shown)
    axes.set_title(
        drawable(clip(feature.name, 34)),
        size=9,
        loc="left",
        color=COLOURS[feature.severity],
        parse_math=False,
    )
    _plain(axes)


def _densities(axes: "Axes", shown: Histogram, edges: list[float]) -> None:
    widths = [b - a for a, b in itertools.pairwise(edges)]
    sides = [
        [share / width for share, width in zip(side, widths, strict=True)]
        for side in (shown.reference, shown.window)
    ]
    axes.stairs(sides[0], edges, fill=True, color=REFERENCE, label="reference")
    axes.stairs(sides[1], edges, color=WINDOW, linewidth=1.4, label="window")
    axes.set_yticks([])
    axes.legend(fontsize=7, frameon=False)


def _bars(axes: "Axes", shown: Histogram) -> None:
    """Draw the largest ten categories, or bins without width, as pairs of bars."""
    labels = shown.labels or [f"{edge:.4g}" for edge in (shown.edges or [])[1:]]
    bars = sorted(
        zip(labels, shown.reference, shown.window, strict=True), key=lambda bar: -max(bar[1:])
    )[:10]
    places = range(len(bars))
    for at, side, colour, name in ((-0.2, 1, REFERENCE, "reference"), (0.2, 2, WINDOW, "window")):
        lengths = [float(bar[side]) for bar in bars]
        axes.barh([place + at for place in places], lengths, height=0.4, color=colour, label=name)
    axes.set_yticks(range(len(bars)), [drawable(clip(label, 16)) for label, _, _ in bars], size=7)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.invert_yaxis()


def _plain(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", labelsize=8, colors=DIM)


def drawable(text: str) -> str:
    """Return a text without the characters that the font does not have, of each of which
    matplotlib would warn.
    """
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    return "".join(
        character if font.get_char_index(ord(character)) else "\N{WHITE SQUARE}"
        for character in text
    )
