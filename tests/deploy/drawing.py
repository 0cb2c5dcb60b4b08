"""Draws the panels of the boards with the data of a Prometheus, since Grafana cannot be run here.

What is drawn is the board's JSON: its places, titles, units, colours and queries. How Grafana
itself looks is not shown.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.deploy.asked import LEGEND, Asked, boards
from tests.deploy.prometheus import Prometheus

mpl.use("Agg")
WIDE, HIGH = 0.65, 0.36
"""Inches of a unit of the grid."""
MOST_NAMES = 8


def draw(
    prometheus: Prometheus, start: float, chosen: Mapping[str, str], folder: Path
) -> list[Path]:
    """Draw each board from a time until now into a PNG file."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _board(board, _Data(prometheus, start, chosen), folder / f"{name}.png")
        for name, board in boards().items()
    ]


class _Data:
    """What the queries of a panel give."""

    def __init__(self, prometheus: Prometheus, start: float, chosen: Mapping[str, str]) -> None:
        self._prometheus = prometheus
        self._chosen = chosen
        self.start, self.end = start, time.time()

    def filled(self, text: str) -> str:
        return Asked("", text).filled(self._chosen)

    def now(self, target: Mapping[str, Any]) -> list[tuple[str, dict[str, str], float]]:
        found = self._prometheus.query(self.filled(target["expr"]))
        return [
            (_named(target, one["metric"]), one["metric"], float(one["value"][1])) for one in found
        ]

    def over_time(self, target: Mapping[str, Any]) -> list[tuple[str, list[float], list[float]]]:
        found = self._prometheus.query_range(self.filled(target["expr"]), self.start, self.end, 1.0)
        return [
            (
                _named(target, one["metric"]),
                [at - self.start for at, _ in one["values"]],
                [float(value) for _, value in one["values"]],
            )
            for one in found
        ]


def _named(target: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    return LEGEND.sub(lambda found: labels.get(found[1], ""), target["legendFormat"])


def _board(board: Mapping[str, Any], data: _Data, path: Path) -> Path:
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    figure = Figure(figsize=(24 * WIDE, (height + 1.2) * HIGH), facecolor="white")
    for panel in board["panels"]:
        place = panel["gridPos"]
        top = 1 - (place["y"] + 1.2) / (height + 1.2)
        if panel["type"] == "row":
            figure.text(0.01, top - 0.6 / height, panel["title"], weight="bold", size=12)
            continue
        low = top - (place["h"] - 0.9) / (height + 1.2)
        axes = figure.add_axes(
            (
                (place["x"] + 1.2) / 24.4,
                low,
                (place["w"] - 1.6) / 24.4,
                (place["h"] - 2.2) / (height + 1.2),
            )
        )
        title = data.filled(panel["title"])
        axes.set_title(f"{title} [{panel['fieldConfig']['defaults']['unit']}]", size=8, loc="left")
        DRAWN[panel["type"]](axes, panel, data)
    figure.text(0.01, 1 - 0.7 / (height + 1.2), board["title"], weight="bold", size=14)
    figure.savefig(path, dpi=70)
    return path


def _lines(axes: Axes, panel: Mapping[str, Any], data: _Data) -> None:
    dashed = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
    for target in panel["targets"]:
        for name, at, values in data.over_time(target):
            style = "--" if target["refId"] in dashed else "-"
            axes.plot(at, values, style, label=name, linewidth=1)
    axes.set_ylim(
        panel["fieldConfig"]["defaults"].get("min"), panel["fieldConfig"]["defaults"].get("max")
    )
    axes.tick_params(labelsize=6)
    handles, names = axes.get_legend_handles_labels()
    axes.legend(handles[:MOST_NAMES], names[:MOST_NAMES], fontsize=5, loc="upper left")


def _states(axes: Axes, panel: Mapping[str, Any], data: _Data) -> None:
    options = _words(panel)
    rows = [one for target in panel["targets"] for one in data.over_time(target)]
    for place, (_, at, values) in enumerate(rows):
        colours = [options[f"{value:g}"]["color"] for value in values]
        axes.barh([place] * len(at), 1, left=at, color=colours, height=0.8)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows], size=5)
    axes.tick_params(axis="x", labelsize=6)


def _number(axes: Axes, panel: Mapping[str, Any], data: _Data) -> None:
    axes.axis("off")
    found = [one for target in panel["targets"] for one in data.now(target)]
    words = _words(panel)
    shown = (words.get(f"{value:g}", {"text": f"{value:.4g} {name}"}) for name, _, value in found)
    text = "\n".join(one["text"] for one in shown) or "none"
    colour = _colour(panel, found[0][2]) if found else "grey"
    axes.text(0.5, 0.4, text, ha="center", va="center", size=12, color=colour)


def _words(panel: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the word and colour of each value that has one."""
    mappings = panel["fieldConfig"]["defaults"]["mappings"]
    return {value: shown for one in mappings for value, shown in one["options"].items()}


def _colour(panel: Mapping[str, Any], value: float) -> str:
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return str([one["color"] for one in steps if one["value"] is None or value >= one["value"]][-1])


def _bars(axes: Axes, panel: Mapping[str, Any], data: _Data) -> None:
    found = sorted(
        (one for target in panel["targets"] for one in data.now(target)), key=lambda one: one[2]
    )
    values = [value for *_, value in found]
    axes.barh(range(len(found)), values, color=[_colour(panel, value) for value in values])
    axes.set_yticks(range(len(found)), [name for name, *_ in found], size=6)
    axes.tick_params(axis="x", labelsize=6)


def _table(axes: Axes, panel: Mapping[str, Any], data: _Data) -> None:
    axes.axis("off")
    titles = [target["legendFormat"] for target in panel["targets"]]
    rows: dict[str, dict[str, str]] = {}
    for target in panel["targets"]:
        for name, labels, value in data.now(target):
            rows.setdefault(" ".join(labels.values()), {})[name] = f"{value:.4g}"
    cells = [[key, *(row.get(title, "") for title in titles)] for key, row in rows.items()]
    axes.table(cells or [["none"] * (len(titles) + 1)], colLabels=["", *titles], loc="upper center")


DRAWN = {
    "timeseries": _lines,
    "state-timeline": _states,
    "stat": _number,
    "bargauge": _bars,
    "table": _table,
}
