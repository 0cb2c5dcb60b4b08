"""The references of a version as the API shows them: the one in use, and every change, newest
first.
"""

from typing import Final

import msgspec

from driftgauge.producer.reading.pages import unknown_cursor
from driftgauge.shared.moments import IsoTime, Moment
from driftgauge.shared.reference.accepted import AcceptedReference
from driftgauge.shared.reference.history import ReferenceChange
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry

DIGITS: Final = 15
"""Most digits of the number of a change."""


class AcceptedChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of the reference that a version is compared with.

    Parameters
    ----------
    change
        Number of the change, from 1.
    number
        Number of the reference from here on; 0 is the one that was registered with the version.
    who, reason
        Who made the change, and why.
    undo
        Whether it goes back to the reference before.
    created
        When it was made; absent if unknown.
    rows, start, end
        Rows that the reference was made of, and their time; absent for the registered one.
    resolution
        Kind of pane to how many were summed up: panes, hours, days.
    """

    version: str
    change: int
    number: int
    who: str
    reason: str
    undo: bool
    created: IsoTime | None = None
    rows: int | None = None
    start: Moment | None = None
    end: Moment | None = None
    resolution: dict[str, int] | None = None


class ReferencePage(msgspec.Struct, frozen=True):
    """The reference that a version is compared with, and a page of the changes of it.

    Parameters
    ----------
    reference
        Number of the reference in use; 0 is the one that was registered with the version.
    changes
        Changes, the newest first.
    next
        Cursor of the next page; null on the last one.
    """

    model: str
    version: str
    reference: int
    changes: list[AcceptedChange]
    next: str | None


def reference_history(
    registry: ModelRegistry, model: str, version: str, limit: int, cursor: str | None
) -> ReferencePage:
    """Return the reference in use and a page of the changes.

    Raises
    ------
    ModelNotFound
        If there is no such version.
    BadData
        If the history is damaged.
    Problem
        400 if `cursor` is not what a page returned.
    """
    store = ReferenceStore(registry, model, version)
    history = store.history()
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal()):
        raise unknown_cursor()
    before = len(history.changes) if cursor is None else int(cursor[:DIGITS]) - 1
    left = history.changes[: max(0, before)][::-1]
    shown = left[:limit]
    made = {number: store.load(number) for number in {one.number for one in shown if one.number}}
    return ReferencePage(
        model,
        version,
        history.number,
        [described(change, made.get(change.number)) for change in shown],
        str(shown[-1].change) if len(left) > limit else None,
    )


def described(change: ReferenceChange, made: AcceptedReference | None) -> AcceptedChange:
    """Describe a change, and the reference that it leads to; reference 0 was made from training
    data.

    Examples
    --------
    >>> described(ReferenceChange("1.0.0", 2, 0, "ann", "too early", undo=True), None).undo
    True
    """
    return AcceptedChange(
        change.version,
        change.change,
        change.number,
        change.who,
        change.reason,
        change.undo,
        change.created or None,
        rows=None if made is None else made.profile.rows,
        start=None if made is None else made.start,
        end=None if made is None else made.end,
        resolution=None if made is None else made.resolution,
    )
