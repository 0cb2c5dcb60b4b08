"""Units of numbers: text that is shown beside them, and never computed with.

A schema comes from a file that anybody may have written, so a unit is short and plain: no unit can
fill a headline, steer a terminal or turn the text around it.
"""

import re
from typing import Final

from driftgauge.shared.errors import BadData

MOST_UNIT: Final = 16
"""Most characters of a unit."""
_IN_NAME: Final = re.compile(r".\[([^\[\]]+)\]$|.\s\(([^()]+)\)$")
"""A name that ends in square brackets, or in round ones that stand apart: f(x) has no unit."""


def check_unit(unit: str, of: str, kind: str | None) -> None:
    """Refuse what cannot be a unit.

    Parameters
    ----------
    of
        What it would be the unit of, for the message.
    kind
        Kind of the values; only `numeric` ones have a unit.

    Raises
    ------
    BadData
        If it is too long or not printable, or the values are no numbers.

    Examples
    --------
    >>> check_unit("µg/m³", "'dust'", "numeric")
    >>> check_unit("kWh", "'city'", "categorical")
    Traceback (most recent call last):
    ...
    driftgauge.shared.errors.BadData: 'city' cannot have a unit: only numbers have one.
    """
    if not unit:
        return
    if kind != "numeric":
        raise BadData(f"{of} cannot have a unit: only numbers have one.")
    if len(unit) > MOST_UNIT or not unit.isprintable() or unit != unit.strip():
        raise BadData(
            f"{unit[:40]!r} cannot be the unit of {of}: write at most {MOST_UNIT} printable "
            f"characters, such as kWh."
        )


def unit_in(name: str) -> str:
    """Return the unit that a column's name ends with in brackets; empty if there is none.

    Examples
    --------
    >>> unit_in("load [kW]"), unit_in("load (kW)"), unit_in("mean(load)"), unit_in("load")
    ('kW', 'kW', '', '')
    """
    found = _IN_NAME.search(name)
    unit = "" if found is None else (found[1] or found[2]).strip()
    return unit if len(unit) <= MOST_UNIT and unit.isprintable() else ""
