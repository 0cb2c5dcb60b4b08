"""Times that people write: 30m, 2h, 3d. Pure."""

import re

from shared.errors import BadData


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
        raise BadData(f"{text!r} is not a time: write a number and m, h or d, such as 30m, 2h or 3d.")
    return float(found[1]) * {"m": 1, "h": 60, "d": 1440}[found[2]]
