"""Times that people write: 30m, 2h, 3d. Pure."""

import re
from datetime import datetime

from driftgauge.shared.errors import BadData


def minutes_of(text: str) -> float:
    """Read a time such as 30m, 2h or 3d.

    Raises
    ------
    BadData
        If it is none.

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


def milliseconds(value: object) -> int | None:
    """Give a time as Unix milliseconds, None if it is none.

    Examples
    --------
    >>> milliseconds("2025-11-20T20:15:00+01:00"), milliseconds(12), milliseconds("2025-11-20")
    (1763666100000, 12, None)
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
