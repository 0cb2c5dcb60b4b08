"""How long to wait before another attempt. Pure."""

from typing import Final
from zlib import crc32

FIRST_S: Final = 2.0
LONGEST_S: Final = 900.0
"""First and longest pause (s) between two attempts of a message; each is twice the one before."""
JITTER: Final = 0.25
"""Share of a pause by which it is longer or shorter, so that routes do not meet again and again."""
OBEYED_S: Final = (1.0, 3600.0)
"""Shortest and longest time (s) for which a target is left alone if it asks for it."""
GIVEN_UP_MS: Final = 86_400_000
"""Time (ms) after the first failed attempt of a message, after which it is a dead letter."""
ROUTE_FIRST_S: Final = 0.5
ROUTE_LONGEST_S: Final = 30.0
"""First and longest pause (s) of a whole route, while attempt after attempt fails."""


def pause_s(key: str, tries: int, after_s: float | None = None) -> float:
    """Return the time (s) until the next attempt of a message.

    Parameters
    ----------
    key
        Its key, from which the jitter follows.
    tries
        Attempts that failed, from 1.
    after_s
        What the target asked for; None if it did not.

    Examples
    --------
    >>> [round(pause_s("a-1", tries), 1) for tries in (1, 2, 3, 50)]
    [2.3, 3.6, 7.0, 1010.8]
    >>> pause_s("a-1", 1, after_s=90), pause_s("a-1", 1, after_s=1e9)
    (90, 3600.0)
    """
    if after_s is not None:
        return min(max(after_s, OBEYED_S[0]), OBEYED_S[1])
    plain = min(FIRST_S * 2.0 ** min(tries - 1, 30), LONGEST_S)
    share = crc32(f"{key} {tries}".encode()) / 2**32
    return plain * (1 + JITTER * (2 * share - 1))


def route_pause_s(running: int) -> float:
    """Return for how long a route sends nothing after so many attempts that failed running.

    Examples
    --------
    >>> [route_pause_s(running) for running in (1, 2, 3, 99)]
    [0.5, 1.0, 2.0, 30.0]
    """
    return min(ROUTE_FIRST_S * 2.0 ** min(running - 1, 30), ROUTE_LONGEST_S)
