"""Rows of the overview: how each model stands, searched, sorted and cut into pages. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.severity import rank
from driftgauge.shared.contract.snapshot_parts import Brief, MetricBrief

PAGE: Final = 100
"""Rows of a page."""
Order = Literal["status", "model", "since", "metric", "traffic", "incidents", "version"]
"""Columns by which rows are sorted."""
Status = Literal["critical", "warning", "ok", "other"]
"""How models stand, as they are counted and chosen; `other` is what is not judged."""
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
NOT_JUDGED: Final = "Nothing was judged yet."


@dataclass(frozen=True, slots=True)
class Standing:
    """How a model stands.

    Parameters
    ----------
    brief
        The window that was judged last, of any version; None before the first one.
    incidents
        Its open incidents, the worst first, then the latest.
    serving
        The version that predicts here; empty if none does.
    events
        Events that the API processes took within the last hour.
    fault
        What its worker fails on, or why it is not monitored; empty if all is well.
    """

    model: str
    brief: Brief | None = None
    incidents: Sequence[Incident] = ()
    serving: str = ""
    events: int = 0
    fault: str = ""

    @property
    def worst(self) -> Incident | None:
        """The open incident of which the row tells."""
        return self.incidents[0] if self.incidents else None

    @property
    def severity(self) -> str:
        """Worst severity of its window and its open incidents; `unknown` before a window."""
        judged = "unknown" if self.brief is None else self.brief.severity
        return min((judged, *(one.severity for one in self.incidents)), key=rank)

    @property
    def status(self) -> Status:
        """The group in which it is counted."""
        known: dict[str, Status] = {"critical": "critical", "warning": "warning", "ok": "ok"}
        return known.get(self.severity, "other")

    @property
    def headline(self) -> str:
        """What the worst open incident says; without one, what the window says."""
        if self.worst is not None:
            return self.worst.headline
        return self.fault or (NOT_JUDGED if self.brief is None else self.brief.verdict)

    @property
    def since(self) -> int | None:
        """Logical time (ms) since which the worst open incident lasts; None without one."""
        return None if self.worst is None else self.worst.since

    @property
    def version(self) -> str:
        """Version that was judged last, else the one that serves; empty if there is neither."""
        return self.serving if self.brief is None else self.brief.version

    @property
    def metric(self) -> MetricBrief | None:
        """The metric that it is watched by."""
        return None if self.brief is None else self.brief.metric


def sorted_incidents(found: Sequence[Incident]) -> list[Incident]:
    """Return open incidents the worst first, then the latest."""
    return sorted(found, key=lambda one: (rank(one.severity), -one.since, one.id))


KEYS: Final[dict[Order, Callable[[Standing], Any]]] = {
    "status": lambda one: (rank(one.severity), -(one.since or 0)),
    "model": lambda one: one.model,
    "since": lambda one: (one.since is None, -(one.since or 0)),
    "metric": lambda one: (
        (1, 0.0) if one.metric is None or one.metric.change is None else (0, one.metric.change)
    ),
    "traffic": lambda one: -one.events,
    "incidents": lambda one: -len(one.incidents),
    "version": lambda one: one.version,
}
"""What each order compares: the worst, the latest, the most first; names in their order."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the table is asked for.

    Parameters
    ----------
    text
        Part of a model's name, version or headline, whatever its case; empty for all.
    status
        The group of models; None for all.
    is_reversed
        Whether the order is turned round.
    page
        Number of the page, from 1.
    """

    text: str = ""
    status: Status | None = None
    order: Order = "status"
    is_reversed: bool = False
    page: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """A page of the table.

    Parameters
    ----------
    rows
        Rows of this page.
    found, models
        Models that fit what is asked, and all models.
    counts
        Models that fit the text, by how they stand.
    page, pages
        Number of this page, and of the last one; both from 1.
    """

    rows: list[Standing]
    found: int
    models: int
    counts: dict[Status, int]
    page: int = 1
    pages: int = 1
    asked: Asked = field(default_factory=Asked)


def table(standings: Sequence[Standing], asked: Asked) -> Table:
    """Search and sort models, and cut out a page; a page beyond the last one is the last one.

    Examples
    --------
    >>> rows = [Standing(f"m{number}", events=number) for number in range(250)]
    >>> found = table(rows, Asked("M2", order="traffic", page=9))
    >>> found.found, found.pages, [row.model for row in found.rows[:2]]
    (61, 1, ['m249', 'm248'])
    >>> found.counts
    {'critical': 0, 'warning': 0, 'ok': 0, 'other': 61}
    """
    wanted = asked.text.strip().casefold()
    fitting = [one for one in standings if not wanted or _has(one, wanted)]
    statuses = [one.status for one in fitting]
    counts = {status: statuses.count(status) for status in STATUSES}
    chosen = [one for one in fitting if asked.status in {None, one.status}]
    ordered = sorted(chosen, key=lambda one: one.model)
    ordered.sort(key=KEYS[asked.order], reverse=asked.is_reversed)
    pages = max(1, -(-len(ordered) // PAGE))
    page = min(max(asked.page, 1), pages)
    rows = ordered[(page - 1) * PAGE : page * PAGE]
    return Table(rows, len(chosen), len(standings), counts, page, pages, asked)


def _has(one: Standing, text: str) -> bool:
    return any(text in part.casefold() for part in (one.model, one.version, one.headline))
