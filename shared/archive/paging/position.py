"""Where a page of an archive goes on. Pure."""

from typing import Final, NamedTuple

from driftgauge.shared.contract.entry_id import EntryId, Place

END: Final = EntryId(253_402_300_799_999, 0)
"""Comes after every entry."""


class Position(NamedTuple):
    """The rows of a UTC date before a place come next, then those of earlier dates."""

    date: str
    before: Place = Place(END, 0)


NEWEST: Final = Position("9999-12-31")
"""Where the first page begins."""
