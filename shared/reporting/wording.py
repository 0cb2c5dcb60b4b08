"""How pages say numbers, times and names; the report says them the same way. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from markupsafe import Markup

from driftgauge.shared.durations import milliseconds
from driftgauge.shared.reporting import text, titles

SEVERITIES: Final = {
    "ok": "normal",
    "warning": "warning",
    "critical": "critical",
    "insufficient_data": "insufficient data",
    "excluded": "excluded",
    "unknown": "not judged yet",
}
MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


def count(value: float) -> str:
    """Give a whole number with its thousands apart.

    Examples
    --------
    >>> count(1234567)
    '1,234,567'
    """
    return f"{value:,.0f}"


def duration(seconds: float) -> str:
    r"""Give a time span in the unit that suits it.

    Examples
    --------
    >>> [duration(s).replace("\u00a0", " ") for s in (0.0021, 0.35, 12.34, 90, 7300, 200_000)]
    ['2.1 ms', '350 ms', '12.3 s', '1.5 min', '2 h', '2.3 d']
    """
    if seconds < 1:
        return f"{text.figure(seconds * 1000, 2)}\u00a0ms" if seconds else "0\u00a0s"
    for unit, size, limit in (
        ("s", 1, MINUTE_S),
        ("min", MINUTE_S, HOUR_S),
        ("h", HOUR_S, DAY_S),
        ("d", DAY_S, None),
    ):
        if limit is None or seconds < limit:
            return f"{round(seconds / size, 1):g}\u00a0{unit}"
    raise AssertionError


def time_tag(milliseconds: int) -> Markup:
    """Give a Unix time in ms as an element that a module can show in the reader's zone.

    Examples
    --------
    >>> time_tag(1714557600000)
    Markup('<time data-ms="1714557600000">2024-05-01 10:00:00 UTC</time>')
    """
    return Markup('<time data-ms="{}">{}</time>').format(milliseconds, text.moment(milliseconds))


def or_dash(wording: Callable[[float], str]) -> Callable[[float | None], Markup]:
    """Make a filter of a wording: the exact number stays beside it for machines, and None is a
    dash.
    """

    def shown(value: float | None) -> Markup:
        if value is None:
            return Markup("&ndash;")
        return Markup('<data value="{}">{}</data>').format(repr(value), wording(value))

    return shown


def title(name: str) -> str:
    """Give the title of a statistic, metric or rule.

    Examples
    --------
    >>> title("psi"), title("out_of_range"), title("performance.mae")
    ('PSI', 'out of range', 'MAE')
    """
    return text.clip(titles.title(name), 60)


def iso_moment(written: str) -> Markup:
    """Give a time that a manifest or history has as `time_tag`, or as it is if it is none.

    Examples
    --------
    >>> iso_moment("2024-05-01T10:00:00.5+00:00"), iso_moment("<yesterday>")
    (Markup('<time data-ms="1714557600500">2024-05-01 10:00:00 UTC</time>'), Markup('<bdi>&lt;yesterday&gt;</bdi>'))
    """  # noqa: E501  a table, or what an example prints
    found = milliseconds(written)
    return text.shown(written, 40) if found is None else time_tag(found)


def exact_moment(milliseconds: int) -> str:
    """Give a time to the millisecond, in UTC.

    Examples
    --------
    >>> exact_moment(1714557600123)
    '2024-05-01 10:00:00.123'
    """
    return text.moment(milliseconds).replace(" UTC", f".{milliseconds % 1000:03d}")


def value(given: float | str | None) -> Markup:
    """Give a feature's value, a prediction or a label.

    Examples
    --------
    >>> value("<b>"), value(None), value(41.7)
    (Markup('<bdi>&lt;b&gt;</bdi>'), Markup('&ndash;'), Markup('<data value="41.7">41.7</data>'))
    """
    if isinstance(given, str):
        return text.shown(given, 60)
    return or_dash(lambda number: text.figure(number, 6))(given)


def is_name(given: str) -> bool:
    """Tell whether text can be part of a path or the name of a file: nothing in it has a meaning
    there.

    Examples
    --------
    >>> is_name("steel-1.0.0-1763650000123"), is_name("../.."), is_name("a/b")
    (True, False, False)
    """
    return NAME.fullmatch(given) is not None


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "clip": text.clip,
    "shown": text.shown,
    "moment": time_tag,
    "iso_moment": iso_moment,
    "exact_moment": exact_moment,
    "value": value,
    "is_name": is_name,
    "with_code": text.with_code,
    "plain_moment": text.moment,
    "plain_decimal": text.decimal,
    "severity_words": lambda name: SEVERITIES.get(name, name.replace("_", " ")),
    "title_of": title,
    "count": or_dash(count),
    "duration": or_dash(duration),
    "figure": or_dash(text.figure),
    "decimal": or_dash(text.decimal),
    "score": or_dash(text.score),
    "percent": or_dash(text.percent),
    "p_value": or_dash(text.p_value),
}
