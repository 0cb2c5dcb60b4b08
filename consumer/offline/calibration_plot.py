"""A calibration for people: a table, a chart of the usual PSI beside the thresholds, and a summary
in words.
"""

from collections import Counter
from pathlib import Path

from rich.table import Table
from rich.text import Text

from driftgauge.shared.extras import needs
from driftgauge.shared.reference.calibration import Calibration

BAR = 40
"""Length of the longest bar, in characters."""
NAME = 32


def table(made: Calibration) -> Table:
    """Return a row for each column."""
    shown = Table(
        title=f"order in time, {made.timeline.weeks} weeks of reference", title_justify="left"
    )
    shown.add_column("feature", overflow="fold", min_width=16)
    shown.add_column("order")
    for head in (
        "a week\nvaries x",
        "lag-1\ncorr.",
        "usual\nPSI",
        "thresh-\nold",
        "found in\n7 days",
    ):
        shown.add_column(head, justify="right")
    for feature in made.features:
        shown.add_row(
            Text(printable(feature.name)),
            feature.order,
            number(feature.overdispersion, 1),
            number(feature.autocorrelation),
            number(feature.expected),
            number(feature.threshold),
            "-" if feature.detectable is None else f"{feature.detectable:g} sd",
        )
    return shown


def number(value: float | None, places: int = 2) -> str:
    """Return a number, or a dash.

    Examples
    --------
    >>> number(None), number(2.345)
    ('-', '2.35')
    """
    return "-" if value is None else f"{value:.{places}f}"


def plot(made: Calibration) -> str:
    """Draw the usual PSI of 7 days as a bar and the threshold as a mark, for each ordered column;
    empty without any.
    """
    found = _ordered(made)
    if not found:
        return ""
    largest = max(threshold for _, _, threshold in found)
    lines = [f"{'PSI of 7 days':{NAME}}  █ usual  ┃ threshold, 0 to {largest:.2f}"]
    for name, usual, threshold in found:
        end, mark = round(BAR * usual / largest), max(round(BAR * threshold / largest), 1)
        bar = "█" * min(end, mark - 1)
        lines.append(f"{printable(name)[:NAME]:{NAME}}  {bar:{mark - 1}}┃")
    return "\n".join(lines)


def summary(made: Calibration) -> list[str]:
    """Return the conclusions in sentences."""
    orders = Counter(feature.order for feature in made.features)
    told = [", ".join(f"{count} {order}" for order, count in orders.items()) + "."]
    told += [
        f"{printable(feature.name)}: {feature.reason}."
        for feature in made.features
        if feature.order == "clock"
    ]
    short = [feature for feature in made.features if feature.order == "uncalibrated"]
    if short:
        told.append(f"UNCALIBRATED ({len(short)} columns): integrity only; {short[0].reason}.")
    if made.realised is not None and made.alarm_share is not None:
        met = (
            ""
            if made.realised <= made.target
            else f", more than the {made.target:g} that was asked for"
        )
        told.append(
            f"Replayed weeks: {made.realised:.2f} false episodes per 30 days{met}; "
            f"{made.alarm_share:.0%} of the time in "
            "alarm."
        )
    if made.in_order is not None:
        told.append(
            f"The reference's weeks as they came, each held against the others: "
            f"{made.in_order:.2f} episodes per 30 days. "
            "A higher figure than that of replayed weeks is a trend or a season."
        )
    return told


def draw_png(made: Calibration, title: str, path: Path) -> None:
    """Draw the chart as a PNG file.

    Raises
    ------
    NotInstalled
        If matplotlib is not installed.
    """
    with needs("plot"):
        from matplotlib.figure import Figure

    found = _ordered(made)
    figure = Figure(figsize=(8, 1.2 + 0.3 * max(len(found), 1)), layout="constrained")
    axes = figure.subplots()
    places = range(len(found))
    axes.barh(
        places, [usual for _, usual, _ in found], color="#2160b4", label="usual PSI of 7 days"
    )
    axes.plot(
        [threshold for _, _, threshold in found],
        places,
        "|",
        markersize=14,
        markeredgewidth=3,
        color="#b42318",
        linestyle="none",
        label="threshold",
    )
    axes.set_yticks(places, [printable(name)[:NAME].replace("$", r"\$") for name, _, _ in found])
    axes.invert_yaxis()
    axes.set_xlabel("PSI")
    axes.set_title(f"{title}: {len(found)} columns ordered in time")
    if found:
        axes.legend()
    figure.savefig(path, dpi=120)


def printable(name: str) -> str:
    """Return untrusted text without what could move a terminal's cursor."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)


def _ordered(made: Calibration) -> list[tuple[str, float, float]]:
    """Return name, usual PSI and threshold of the ordered columns, least threshold last."""
    found = [
        (feature.name, feature.expected or 0.0, feature.threshold)
        for feature in made.features
        if feature.order == "ordered" and feature.threshold is not None
    ]
    return sorted(found, key=_threshold, reverse=True)


def _threshold(found: tuple[str, float, float]) -> float:
    return found[2]
