"""Panels of a board, and how Grafana's classic dashboard model writes them.

A panel says what it shows, in which unit, and what a reader makes of it. Places and numbers are
given by the board. The written fields are those of Grafana 10.1, which later releases read too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final, Literal

JsonObject = dict[str, object]
Kind = Literal["timeseries", "stat", "state-timeline", "bargauge", "table"]

DATASOURCE: Final[JsonObject] = {"type": "prometheus", "uid": "${datasource}"}
COLOURS: Final = ("green", "orange", "red")
SEVERITIES: Final = ("well", "warning", "critical")
LEGEND: Final[JsonObject] = {
    "calcs": ["lastNotNull", "max"],
    "displayMode": "table",
    "placement": "bottom",
    "showLegend": True,
    "sortBy": "Last *",
    "sortDesc": True,
}
REDUCED: Final[JsonObject] = {"calcs": ["lastNotNull"], "fields": "", "values": False}


@dataclass(frozen=True)
class Query:
    """An expression of PromQL.

    Parameters
    ----------
    legend
        Name of each of its series, with labels as `{{label}}`; of a table's query, the title of its
        column.
    unit
        Unit of a table's column.
    dashed
        True for what is compared with: a threshold, a baseline, an interval's end.
    words
        Words for the values 0, 1, 2 of a table's column.
    colours
        Their colours.
    """

    expression: str
    legend: str
    unit: str = "short"
    dashed: bool = False
    words: Sequence[str] = ()
    colours: Sequence[str] = COLOURS


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel.

    Parameters
    ----------
    description
        What a reader makes of it, in plain words.
    unit
        Grafana's id of the unit, such as `s` or `percentunit` (0 to 1).
    limits
        Values from which it is orange, and red; None if no value is bad.
    words
        Words for the values 0, 1, 2.
    colours
        Colours of these values, or below and from the limits.
    link
        Title and page of Driftgauge that a value leads to, with labels as Grafana writes them.
    width, height
        In units of the grid, which is 24 wide.
    bottom, top
        Ends of the axis; None leaves them to the values.
    """

    title: str
    description: str
    queries: Sequence[Query]
    kind: Kind = "timeseries"
    unit: str = "short"
    limits: tuple[float, float] | None = None
    words: Sequence[str] = ()
    colours: Sequence[str] = COLOURS
    link: tuple[str, str] | None = None
    width: int = 12
    height: int = 8
    bottom: float | None = 0
    top: float | None = None

    def written(self, number: int, x: int, y: int) -> JsonObject:
        """Return the panel as Grafana reads it, at a place of the grid."""
        found: JsonObject = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": [
                self._target(*one) for one in zip(ascii_uppercase, self.queries, strict=False)
            ],
            "fieldConfig": {"defaults": self._defaults(), "overrides": self._overrides()},
            "options": OPTIONS[self.kind],
        }
        if self.kind == "table":
            found["transformations"] = self._joined()
        return found

    @property
    def at_once(self) -> bool:
        """Whether it shows the values of now, not of a time."""
        return self.kind in {"stat", "bargauge", "table"}

    def _target(self, name: str, query: Query) -> JsonObject:
        return {
            "refId": name,
            "datasource": DATASOURCE,
            "expr": query.expression,
            "legendFormat": query.legend,
            "format": "table" if self.kind == "table" else "time_series",
            "instant": self.at_once,
            "range": not self.at_once,
        }

    def _defaults(self) -> JsonObject:
        found: JsonObject = {
            "unit": self.unit,
            "color": {"mode": "thresholds" if self._coloured else "palette-classic"},
            "thresholds": {"mode": "absolute", "steps": self._steps()},
            "mappings": _mappings(self.words, self.colours),
            "custom": self._custom(),
            "noValue": "none",
        }
        if self.kind == "stat" and self.unit == "short":
            found["decimals"] = 0
        for name, end in (("min", self.bottom), ("max", self.top)):
            if end is not None:
                found[name] = end
        if self.link is not None:
            title, page = self.link
            found["links"] = [{"title": title, "url": f"${{driftgauge:raw}}{page}"}]
        return found

    def _custom(self) -> JsonObject:
        drawn = CUSTOM.get(self.kind, {})
        if self.kind == "timeseries" and self.limits is not None:
            return {**drawn, "thresholdsStyle": {"mode": "dashed"}}
        return drawn

    @property
    def _coloured(self) -> bool:
        """Whether a colour says how bad a value is; the colours of lines tell them apart."""
        return self.kind != "timeseries" and (self.limits is not None or bool(self.words))

    def _steps(self) -> list[JsonObject]:
        limits = (1, 2) if self.words and self.limits is None else self.limits or ()
        return [
            {"color": colour, "value": value}
            for colour, value in zip(self.colours, (None, *limits), strict=False)
        ]

    def _overrides(self) -> list[JsonObject]:
        if self.kind == "table":
            columns = ((query.legend, _column(query)) for query in self.queries)
            return [_override("byName", name, column) for name, column in columns if column]
        return [
            _override("byFrameRefID", name, {"custom.lineStyle": {"dash": [6, 6], "fill": "dash"}})
            for name, query in zip(ascii_uppercase, self.queries, strict=False)
            if query.dashed
        ]

    def _joined(self) -> list[JsonObject]:
        """Make one table of the queries: a row for each set of labels, a column for each query."""
        names = {
            f"Value #{name}": query.legend
            for name, query in zip(ascii_uppercase, self.queries, strict=False)
        }
        return [
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {"excludeByName": {"Time": True}, "renameByName": names},
            },
        ]


def _mappings(words: Sequence[str], colours: Sequence[str]) -> list[JsonObject]:
    options = {
        str(value): {"text": word, "color": colour, "index": value}
        for value, (word, colour) in enumerate(zip(words, colours, strict=False))
    }
    return [{"type": "value", "options": options}] if words else []


def _column(query: Query) -> JsonObject:
    """Return how a column of a table is written; nothing if as the others."""
    found: JsonObject = {} if query.unit == "short" else {"unit": query.unit}
    if query.words:
        found["mappings"] = _mappings(query.words, query.colours)
        found["custom.cellOptions"] = {"type": "color-text"}
    return found


def _override(matcher: str, name: str, properties: Mapping[str, object]) -> JsonObject:
    return {
        "matcher": {"id": matcher, "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


CUSTOM: Final[Mapping[Kind, JsonObject]] = {
    "timeseries": {
        "drawStyle": "line",
        "fillOpacity": 0,
        "lineWidth": 2,
        "showPoints": "never",
        "spanNulls": False,
        "thresholdsStyle": {"mode": "off"},
    },
    "state-timeline": {"fillOpacity": 70, "lineWidth": 0},
    "table": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False},
}
"""How values are drawn, by kind of panel."""

OPTIONS: Final[Mapping[Kind, JsonObject]] = {
    "timeseries": {"legend": LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": REDUCED,
        "textMode": "auto",
    },
    "state-timeline": {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
        "mergeValues": True,
        "rowHeight": 0.9,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    },
    "bargauge": {
        "displayMode": "basic",
        "minVizHeight": 16,
        "minVizWidth": 8,
        "orientation": "horizontal",
        "reduceOptions": REDUCED,
        "showUnfilled": True,
        "valueMode": "color",
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
}
"""The options of each kind of panel."""
