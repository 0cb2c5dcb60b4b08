"""Moments and lengths of time as people read them; moments are Unix times in ms, shown in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

from driftgauge.shared import durations
from driftgauge.shared.wording.numbers import figure
from driftgauge.shared.wording.plain import clip

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400


def moment(milliseconds: int) -> str:
    """Return a moment as date and time.

    Examples
    --------
    >>> moment(1714557600000)
    '2024-05-01 10:00:00 UTC'
    >>> moment(10**18)  # a sender's clock may lie beyond the calendar
    '1000000000000000000 ms'
    """
    try:
        return f"{EPOCH + timedelta(milliseconds=milliseconds):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return f"{milliseconds} ms"


def written_moment(written: str) -> str:
    """Return a time of ISO 8601, as in a manifest or history, as `moment` does; as it is if it is
    none.

    Examples
    --------
    >>> written_moment("2024-05-01T12:00:00.5+02:00"), written_moment("never")
    ('2024-05-01 10:00:00 UTC', 'never')
    """
    found = durations.milliseconds(written)
    return clip(written, 40) if found is None else moment(found)


def exact_moment(milliseconds: int) -> str:
    """Return a moment to the millisecond.

    Examples
    --------
    >>> exact_moment(1714557600123)
    '2024-05-01 10:00:00.123'
    """
    return moment(milliseconds).replace(" UTC", f".{milliseconds % 1000:03d}")


def minute(milliseconds: int, *, seconds: bool = False) -> str:
    """Return a moment to the minute, or to the second, as short as an axis has room for.

    Examples
    --------
    >>> minute(1714557659999), minute(1714557659999, seconds=True)
    ('2024-05-01 10:00', '2024-05-01 10:00:59')
    """
    form = "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M"
    try:
        return f"{EPOCH + timedelta(milliseconds=milliseconds):{form}}"
    except OverflowError:
        return clip(f"{milliseconds} ms", 16)


def since(milliseconds: int, width: int = 0) -> str:
    """Say since when something is: to the minute, or to the hour or the day where it is known only
    roughly.

    Parameters
    ----------
    milliseconds
        The likeliest moment.
    width
        How long the time is (ms) within which it lies.

    Examples
    --------
    >>> since(83_000_000), since(83_000_000, 5_000_000), since(10**9, 10**9)
    ('Since 1 Jan 23:03 UTC', 'Since about 23:00 UTC on 1 Jan', 'Since about 12 Jan')
    """
    try:
        found = EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:  # a sender's clock may lie beyond the calendar
        return f"Since {milliseconds} ms"
    day = f"{found.day} {found:%b}"
    if width > DAY_S * 1000:
        return f"Since about {day}"
    if width > HOUR_S * 1000:
        return f"Since about {found:%H}:00 UTC on {day}"
    return f"Since {day} {found:%H:%M} UTC"


def day_name(milliseconds: int) -> str:
    """Return the day of a moment.

    Examples
    --------
    >>> day_name(1714557659999)
    '1 May 2024'
    """
    try:
        found = EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return f"{milliseconds} ms"
    return f"{found.day} {found:%B %Y}"


def days_named(first: int, last: int) -> str:
    """Return the days from that of one moment to that of another, as short as a sentence has it.

    Examples
    --------
    >>> day = 86_400_000
    >>> days_named(0, 0), days_named(10 * day, 12 * day), days_named(30 * day, 31 * day)
    ('on 1 January 1970', 'from 11 to 13 January 1970', 'from 31 January to 1 February 1970')
    """
    one, other = day_name(first), day_name(last)
    if one == other:
        return f"on {one}"
    start, end = one.split(" "), other.split(" ")
    if start[1:] == end[1:]:
        one = start[0]
    elif start[2:] == end[2:]:
        one = " ".join(start[:2])
    return f"from {one} to {other}"


def duration(seconds: float) -> str:
    r"""Return a length of time in the unit that suits it.

    Examples
    --------
    >>> [duration(s).replace("\u00a0", " ") for s in (0.0021, 0.35, 12.34, 90, 7300, 200_000)]
    ['2.1 ms', '350 ms', '12.3 s', '1.5 min', '2 h', '2.3 d']
    """
    if seconds < 1:
        return f"{figure(seconds * 1000, 2)}\u00a0ms" if seconds else "0\u00a0s"
    for unit, size, limit in (("s", 1, MINUTE_S), ("min", MINUTE_S, HOUR_S), ("h", HOUR_S, DAY_S)):
        if seconds < limit:
            return f"{round(seconds / size, 1):g}\u00a0{unit}"
    return f"{round(seconds / DAY_S, 1):g}\u00a0d"
