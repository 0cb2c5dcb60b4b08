"""Plots of how something grows, beside the results; nothing without matplotlib (extra `plot`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from benchmarks.results import FOLDER


class Line(NamedTuple):
    """A line of a plot: its name, and its points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def plotted(
    name: str, along: str, measured: str, lines: Sequence[Line], *, logarithmic: bool = False
) -> Path | None:
    """Draw lines from 0 upwards, and write them beside the results.

    Parameters
    ----------
    along, measured
        What the axes show.
    logarithmic
        Whether that along which it grows is shown by its magnitude.

    Returns
    -------
    Path or None
        The picture; None without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import EngFormatter
    except ImportError:
        click.echo("matplotlib is not installed: no plot.", err=True)
        return None
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for line in lines:
        axes.plot(line.x, line.y, marker="o", label=line.name)
    axes.set(xlabel=along, ylabel=measured)
    axes.set_ylim(bottom=0)
    if logarithmic:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(loc="lower left")
    axes.grid(alpha=0.3)
    path = FOLDER / f"{name}.png"
    figure.savefig(path, dpi=120)
    return path
