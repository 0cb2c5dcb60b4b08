"""Parsing of durations such as `30m`, `2h` and `3d`, and of points in time."""

import re
from datetime import datetime

from driftgauge.shared.errors import BadData


def minutes_of(text: str) -> float:
    """Parse a duration such as `30m`, `2h` or `3d`, and return it in minutes.

    Raises
    ------
    BadData
        If the text is no duration.

    Examples
    --------
    >>> minutes_of("2h"), minutes_of("1.5d")
    (120.0, 2160.0)
    """
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)([mhd])", text)
    if found is None:
        raise BadData(
            f"{text!r} is not a time: write a number and m, h or d, such as 30m, 2h or 3d."
        )
    return float(found[1]) * {"m": 1, "h": 60, "d": 1440}[found[2]]


MAX_TIME_MS = 253_402_300_799_999
"""The end of the year 9999, in Unix milliseconds."""


def milliseconds(value: object) -> int | None:
    """Return a point in time as Unix milliseconds; None if the value is none.

    Parameters
    ----------
    value
        Unix milliseconds as an int, or ISO 8601 text with a time zone.

    Examples
    --------
    >>> milliseconds("2025-11-20T20:15:00+01:00"), milliseconds(12)
    (1763666100000, 12)
    >>> milliseconds("2025-11-20T20:15:00") is None  # no time zone
    True
    """
    if type(value) is int:
        return value if 0 <= value <= MAX_TIME_MS else None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return milliseconds(round(moment.timestamp() * 1000)) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
