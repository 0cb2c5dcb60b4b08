"""A board: rows of panels, variables, and links to the other boards and to Driftgauge's pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from deploy.boards.panels import DATASOURCE, JsonObject, Panel

WIDTH: Final = 24
"""Width of Grafana's grid."""
TAG: Final = "driftgauge"
SCHEMA: Final = 38
"""Version of the dashboard model that Grafana 10.1 writes; later releases migrate it."""
ADDRESS: Final = "http://127.0.0.1:8000"
"""Where Driftgauge's pages are until a reader types another address."""


@dataclass(frozen=True)
class Choice:
    """A variable whose values are those of a label.

    Parameters
    ----------
    name
        Name of the variable and of the label.
    series
        Series that have the label.
    many
        True if several values, or all of them, can be chosen.
    """

    name: str
    series: str
    many: bool = True

    def written(self) -> JsonObject:
        """Return the variable as Grafana reads it."""
        asked = f"label_values({self.series}, {self.name})"
        found: JsonObject = {
            "type": "query",
            "name": self.name,
            "label": self.name.capitalize(),
            "datasource": DATASOURCE,
            "query": {"qryType": 1, "query": asked, "refId": "Variable"},
            "refresh": 2,
            "sort": 1,
            "multi": self.many,
            "includeAll": self.many,
            "current": {},
        }
        if self.many:
            found |= {
                "allValue": ".*",
                "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
            }
        return found


@dataclass(frozen=True)
class Row:
    """Panels under a heading, from left to right; a panel that has no room begins a new line."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board.

    Parameters
    ----------
    name
        Name of its file, and the last part of its id.
    span
        Time that it shows when it is opened.
    """

    name: Literal["fleet", "model", "pipeline"]
    title: str
    description: str
    choices: Sequence[Choice]
    rows: Sequence[Row]
    span: str = "now-6h"

    def written(self) -> JsonObject:
        """Return the board as Grafana reads it."""
        return {
            "uid": f"driftgauge-{self.name}",
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "timezone": "browser",
            "editable": True,
            "graphTooltip": 1,
            "schemaVersion": SCHEMA,
            "version": 1,
            "refresh": "30s",
            "time": {"from": self.span, "to": "now"},
            "links": [*LINKS],
            "templating": {"list": [SOURCE, *(one.written() for one in self.choices), PAGES]},
            "annotations": {"list": []},
            "panels": [*self._panels()],
        }

    def _panels(self) -> Iterator[JsonObject]:
        number, y = 0, 0
        for row in self.rows:
            number += 1
            yield {
                "id": number,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y},
                "panels": [],
            }
            x, y, lowest = 0, y + 1, y + 1
            for panel in row.panels:
                if x + panel.width > WIDTH:
                    x, y = 0, lowest
                number += 1
                yield panel.written(number, x, y)
                x, lowest = x + panel.width, max(lowest, y + panel.height)
            y = lowest


SOURCE: Final[JsonObject] = {
    "type": "datasource",
    "name": "datasource",
    "label": "Prometheus",
    "query": "prometheus",
    "refresh": 1,
    "multi": False,
    "includeAll": False,
    "current": {},
}
"""The variable that says which Prometheus is asked."""

PAGES: Final[JsonObject] = {
    "type": "textbox",
    "name": "driftgauge",
    "label": "Driftgauge",
    "description": "Where this browser reaches Driftgauge's own pages.",
    "query": ADDRESS,
    "current": {"selected": True, "text": ADDRESS, "value": ADDRESS},
}
"""The variable that links to Driftgauge's pages begin with."""

LINKS: Final[Sequence[JsonObject]] = (
    {
        "type": "dashboards",
        "title": "Boards",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "dashboard",
        "tooltip": "",
        "url": "",
    },
    {
        "type": "link",
        "title": "Incidents in Driftgauge",
        "url": "${driftgauge:raw}/dashboard/incidents",
        "icon": "external link",
        "tooltip": "What broke, since when, how bad, and what to do.",
        "tags": [],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
        "targetBlank": True,
    },
)
"""Links at the top of every board."""
