"""Times of a column: how they are written is found out once, and then read by that alone.

A time becomes a number: of the column's own unit where it is written as a number, of milliseconds
where it is written as text. What is judged of it is its age when the event happened, or the hour of
the week: the calendar itself only goes on.
"""

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.pii import is_personal
from driftgauge.shared.tables.format import TimeFormat, TimeUnit

if TYPE_CHECKING:
    import pandas as pd

NANOSECONDS: Final[dict[TimeUnit, int]] = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
"""How many nanoseconds each unit has."""
UNITS: Final[tuple[tuple[float, TimeUnit], ...]] = ((1e11, "s"), (1e14, "ms"), (1e17, "us"))
"""Below which size a number since 1970 has which unit, else nanoseconds: 1e11 s is the year 5138,
1e11 ms is March 1973, and so on for each next unit.
"""
PATTERNS: Final = (
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p",
    "%d-%m-%Y", "%m-%d-%Y", "%d-%m-%Y %H:%M", "%m-%d-%Y %H:%M", "%d-%m-%Y %H:%M:%S",
    "%m-%d-%Y %H:%M:%S", "%d/%m/%y", "%m/%d/%y", "%d/%m/%y %H:%M", "%m/%d/%y %H:%M", "%d.%m.%y",
    "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%d %b %Y", "%d %B %Y", "%b %d, %Y",
    "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%Y-%m-%d %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z",
)  # fmt: skip
"""Ways beside ISO 8601 in which times are often written."""
DAY_MS: Final = 86_400_000
YEAR_MS: Final = 365.25 * DAY_MS
MOST_YEARS: Final = 200
"""Years that the times of one table may be apart."""
HOUR_MS: Final = 3_600_000
_MAYBE: Final = re.compile(r"(?=.*\d{2}).*[-/.:, ].*")
"""What a text that is a time looks like: it has digits, and something between them."""
_FULL: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?P<zone>Z)?)?", re.ASCII
)
"""The usual form of ISO 8601, in UTC or without a zone."""
_TRIED: Final = 200
"""Texts that a pattern is tried on before it is tried on all."""


@lru_cache
def zone_of(name: str) -> tzinfo:
    """Return a time zone.

    Raises
    ------
    BadData
        If there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadData(
            f"{name!r} is no time zone; use a name such as Europe/Berlin or UTC."
        ) from None


def may_be_time(text: str) -> bool:
    """Tell whether a text has digits and something between them, as all times that are texts."""
    return _MAYBE.fullmatch(text) is not None


def moment(text: str, form: TimeFormat) -> float | None:
    """Read a time as Unix milliseconds; None if the text is none in this format.

    Examples
    --------
    >>> moment("1970-01-01T01:00+01:00", TimeFormat()), moment("02/01/1970", TimeFormat())
    (0.0, None)
    >>> moment("02/01/1970", TimeFormat(pattern="%d/%m/%Y"))
    86400000.0
    >>> moment("1970-01-01", TimeFormat(timezone="Europe/Berlin"))
    -3600000.0
    """
    bare = text.strip()
    try:
        if form.pattern:
            found = datetime.strptime(bare, form.pattern)  # noqa: DTZ007  its zone is given below
        elif bare.isdecimal():
            return None  # a number, although the standard has such a form
        else:
            found = datetime.fromisoformat(bare)
        if found.tzinfo is None:
            found = found.replace(tzinfo=zone_of(form.timezone))
        return found.timestamp() * 1000
    except (ValueError, OverflowError):
        return None


def moments(texts: Sequence[str], form: TimeFormat) -> Floats:
    """Read times as Unix milliseconds, as `moment` does; NaN where a text is none.

    Examples
    --------
    >>> moments(["1970-01-01 00:00:01", "", "1970-01-01T01:00+01:00"], TimeFormat()).tolist()
    [1000.0, nan, 0.0]
    """
    found = _at_once(texts, form)
    left = np.flatnonzero(np.isnan(found)).tolist()
    known = {text: moment(text, form) for text in {texts[place] for place in left}}
    found[left] = np.array([known[texts[place]] for place in left], dtype=np.float64)
    return found


def _at_once(texts: Sequence[str], form: TimeFormat) -> Floats:
    """Read the times that are written in full, and have no zone but UTC; NaN for all others."""
    found = np.full(len(texts), np.nan)
    if not form.pattern:
        full = [_FULL.fullmatch(text) for text in texts]
        utc = form.timezone == "UTC"
        fits = [place for place, one in enumerate(full) if one and (utc or one["zone"])]
        bare = [texts[place].removesuffix("Z") for place in fits]
    elif form.timezone != "UTC" or "%z" in form.pattern or "%Z" in form.pattern:
        return found
    else:
        fits, bare = list(range(len(texts))), list(texts)
    if not fits:
        return found
    if form.pattern:
        import pandas as pd

        times = pd.to_datetime(pd.Series(bare), format=form.pattern, errors="coerce").to_numpy()
        us = times.astype("datetime64[us]")
    else:
        try:
            us = np.array(bare, dtype="datetime64[us]")
        except ValueError:  # there is no such day
            return found
    found[fits] = np.where(np.isnat(us), np.nan, us.astype(np.int64) / 1e3)
    return found


def unit_of(numbers: Floats) -> TimeUnit:
    """Return the unit of numbers since 1970, by their size.

    Examples
    --------
    >>> [unit_of(np.array([1.76e9 * 1000**power])) for power in range(4)]
    ['s', 'ms', 'us', 'ns']
    """
    largest = float(np.abs(numbers[np.isfinite(numbers)]).max(initial=0.0))
    return next((unit for bound, unit in UNITS if largest < bound), "ns")


def to_ms(numbers: Floats, unit: TimeUnit | None) -> Floats:
    """Convert numbers since 1970 to Unix milliseconds; without a unit they are such."""
    return converted(numbers, unit or "ms", "ms")


def converted(numbers: Floats, unit: TimeUnit, other: TimeUnit) -> Floats:
    """Convert numbers of a unit to another one; whole numbers stay exact.

    Examples
    --------
    >>> converted(np.array([1.5]), "s", "us").tolist(), converted(np.array([3.0]), "ms", "s")
    ([1500000.0], array([0.003]))
    """
    ours, theirs = NANOSECONDS[unit], NANOSECONDS[other]
    return numbers * (ours // theirs) if ours >= theirs else numbers / (theirs // ours)


def written(name: str, texts: Sequence[str], timezone: str = "UTC") -> TimeFormat | None:
    """Find out how times are written as text; None if they are no times.

    Parameters
    ----------
    name
        Of the column, for the question.
    texts
        Those that are there, at least one.

    Raises
    ------
    BadData
        With a question, if they can be read as different times.

    Examples
    --------
    >>> written("t", ["2026-01-12"]).pattern, written("t", ["13/12/2026", "12/01/2026"]).pattern
    ('', '%d/%m/%Y')
    >>> written("t", ["rome"]) is None
    True
    """
    different = list(dict.fromkeys(texts))
    few = different[:: max(1, len(different) // _TRIED)]
    if not all(map(may_be_time, few)):
        return None
    forms = [TimeFormat(timezone=timezone)]
    forms += [TimeFormat(pattern=pattern, timezone=timezone) for pattern in PATTERNS]
    fitting: list[tuple[TimeFormat, Floats]] = []
    for form in forms:
        if np.isnan(moments(few, form)).any():
            continue
        reading = moments(different, form)
        if np.isnan(reading).any():
            continue
        if not form.pattern:
            return form
        fitting.append((form, reading))
    for form, reading in fitting[1:]:
        first, known = fitting[0]
        apart = np.flatnonzero(reading != known)
        if len(apart):
            place = int(apart[0])
            shown = "A time" if is_personal(name) else repr(different[place])
            raise BadData(
                f"{shown} in column {name!r} can be {_day(known[place])} or "
                f"{_day(reading[place])}; say --date-format {first.pattern!r} or {form.pattern!r}."
            )
    return fitting[0][0] if fitting else None


def event_times(
    column: "pd.Series", form: TimeFormat | None, source: str
) -> tuple[Floats, TimeFormat]:
    """Read when events happened.

    Parameters
    ----------
    form
        How the times are written; None, or one without unit and pattern, to find out.
    source
        Name of the file, for messages.

    Returns
    -------
    ms, form
        Unix milliseconds of each row; and how they are written.

    Raises
    ------
    BadData
        If a time is missing or unreadable, or can be meant in two ways; or if they are more than
        `MOST_YEARS` apart, as with a wrong one among them.

    Examples
    --------
    >>> import pandas as pd
    >>> event_times(pd.Series(["1970-01-02", "1970-01-03T00:00Z"]), None, "f.csv")[0].tolist()
    [86400000.0, 172800000.0]
    >>> ms, form = event_times(pd.Series([1.76e9, 1.77e9]), None, "f.csv")
    >>> ms[0] == 1.76e12, form.unit
    (np.True_, 's')
    """
    found, form = _event_times(column, form, source)
    _check_span(found, column, source)
    return found, form


def _check_span(ms: Floats, column: "pd.Series", source: str) -> None:
    """Refuse times that cannot be those of one table: days between them would be counted."""
    if not len(ms) or float(ms.max() - ms.min()) <= MOST_YEARS * YEAR_MS:
        return
    middle = float(np.median(ms))
    odd = np.flatnonzero(np.abs(ms - middle) > MOST_YEARS / 2 * YEAR_MS)
    place = int(odd[0]) if len(odd) else int(np.argmax(ms))
    raise BadData(
        f"{source}: the times in column {column.name} are more than {MOST_YEARS} years apart; row "
        f"{place + 1} holds {str(column.iloc[place])[:40]!r}. Correct or remove such rows "
        f"({max(len(odd), 1):,})."
    )


def _event_times(
    column: "pd.Series", form: TimeFormat | None, source: str
) -> tuple[Floats, TimeFormat]:
    from pandas.api.types import is_datetime64_any_dtype

    absent = column.isna()
    if absent.any():
        raise BadData(f"{source}: {int(absent.sum())} rows have no {column.name}; remove them.")
    zone = form.timezone if form is not None else "UTC"
    if is_datetime64_any_dtype(column.dtype):
        local = column if column.dt.tz is not None else column.dt.tz_localize(zone)
        us = local.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
        return us.astype(np.int64) / 1e3, TimeFormat(timezone=zone)
    texts = [str(cell).strip() for cell in column]
    numbers = _as_numbers(column, texts)
    if numbers is not None and not (form is not None and form.pattern):
        unit = form.unit if form is not None and form.unit is not None else unit_of(numbers)
        return to_ms(numbers, unit), TimeFormat(unit=unit, timezone=zone)
    if form is None or (form.unit is None and not form.pattern):
        form = written(str(column.name), texts, zone) or TimeFormat(timezone=zone)
    found = moments(texts, form) if form.unit is None else np.full(len(texts), np.nan)
    bad = np.flatnonzero(np.isnan(found))
    if len(bad):
        how = form.pattern or (f"numbers of {form.unit}" if form.unit else "ISO 8601")
        raise BadData(
            f"{source}: column {column.name} cannot be read as times ({how}): row {bad[0] + 1} "
            f"holds {texts[bad[0]][:40]!r}. Write them as 2025-11-20T12:00:00Z, or as seconds "
            f"since 1970."
        )
    return found, form


def _as_numbers(column: "pd.Series", texts: Sequence[str]) -> Floats | None:
    """Return times that are written as numbers; None if one is not."""
    from pandas.api.types import is_numeric_dtype

    if is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    try:
        found = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None


def aged(values: Floats, events_ms: Floats, form: TimeFormat, judged: str) -> Floats:
    """Return what is judged of times: NaN where a time, or the event's, is missing.

    Parameters
    ----------
    values
        Times as they stand in the log: in the format's unit, or in milliseconds.
    events_ms
        When each event happened, in Unix milliseconds.
    judged
        `age` is the time since then, in the format's unit, or in seconds; `hour_of_week` the hour
        since Monday 0:00 in the format's zone.

    Examples
    --------
    >>> aged(np.array([10.0]), np.array([70_000.0]), TimeFormat(unit="s"), "age").tolist()
    [60.0]
    >>> aged(np.array([0.0]), np.array([0.0]), TimeFormat(), "hour_of_week").tolist()
    [72.0]
    """
    if judged == "hour_of_week":
        return _hour_of_week(to_ms(values, form.unit), form.timezone)
    unit = form.unit or "s"
    return np.asarray(converted(events_ms, "ms", unit) - converted(values, form.unit or "ms", unit))


def _hour_of_week(ms: Floats, timezone: str) -> Floats:
    if timezone != "UTC":
        import pandas as pd

        known = np.isfinite(ms)
        local = ms.copy()
        moved = pd.DatetimeIndex(ms[known].astype("datetime64[ms]"), tz="UTC").tz_convert(timezone)
        local[known] = moved.tz_localize(None).to_numpy("datetime64[ms]").astype(np.float64)
        ms = local
    return np.asarray(np.floor(ms / HOUR_MS + 72) % 168)  # 1970 began on a Thursday


def _day(ms: float) -> str:
    return str(np.datetime64(int(ms), "ms").astype("datetime64[D]"))


def numbered(texts: Sequence[str], form: TimeFormat) -> Floats:
    """Read texts of times or of numbers since 1970 as Unix milliseconds."""
    if form.unit is None:
        return moments(texts, form)
    return to_ms(np.array([float(text) for text in texts]), form.unit)


def event_ms(value: object, form: TimeFormat | None) -> int | None:
    """Read when one event happened, as Unix milliseconds; None if the value is no time.

    Parameters
    ----------
    value
        A number since 1970, or a text: the number as text, or a time.
    form
        How the version's times are written. Without a unit that of a number is told by its size,
        and a text is read as ISO 8601 too.

    Examples
    --------
    >>> event_ms("2025-11-20 20:15", None), event_ms(1763669700, None), event_ms("soon", None)
    (1763669700000, 1763669700000, None)
    >>> event_ms("20/11/2025", TimeFormat(pattern="%d/%m/%Y"))
    1763596800000
    """
    form = form or TimeFormat()
    number_, found = _number_in(value), None
    if number_ is not None:
        unit = form.unit or unit_of(np.array([number_]))
        found = float(to_ms(np.array([number_]), unit)[0])
    elif isinstance(value, str):
        found = moment(value, form)
        if found is None and (form.pattern or form.unit):
            found = moment(value, TimeFormat(timezone=form.timezone))
    return None if found is None else milliseconds(int(found // 1))


def _number_in(value: object) -> float | None:
    """Return a finite number, or the one that a text is; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if np.isfinite(found) else None
