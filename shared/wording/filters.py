"""Filters of the templates of the report, and of the dashboard, whose pages contain parts of the
report.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from markupsafe import Markup

from driftgauge.shared.durations import milliseconds
from driftgauge.shared.wording import glossary, numbers, plain, times, titles

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


def or_dash(wording: Callable[[float], str]) -> Callable[[float | None], Markup]:
    """Make a template filter of a function that words numbers.

    The exact number stands beside its wording, for machines; None becomes a dash.

    Examples
    --------
    >>> or_dash(numbers.decimal)(0.12345)
    Markup('<data value="0.12345">0.123</data>')
    """

    def shown(value: float | None) -> Markup:
        if value is None:
            return Markup("&ndash;")
        return Markup('<data value="{}">{}</data>').format(repr(value), wording(value))

    return shown


def in_unit(shown: Markup, unit: str) -> Markup:
    """Return a number that another filter has worded, with its unit behind it, if it has one.

    Examples
    --------
    >>> in_unit(or_dash(numbers.decimal)(1.5), "<kWh>")
    Markup('<data value="1.5">1.500</data> &lt;kWh&gt;')
    """
    return Markup("{} {}").format(shown, plain.clip(unit, 16)) if unit else shown


def title_of(name: str) -> str:
    """Return a title that is cut to 60 characters: a class in it may have any name.

    Examples
    --------
    >>> title_of("psi"), title_of("out_of_range"), title_of("performance.mae")
    ('PSI', 'out of range', 'MAE')
    """
    return plain.clip(titles.title(name), 60)


def rule_words(name: str) -> str:
    """Return a rule's plain words and its method, cut to 80 characters: a class may be in it.

    Examples
    --------
    >>> rule_words("adwin")
    'Early warning (ADWIN)'
    """
    return plain.clip(titles.rule_words(name), 80)


def without_rule(summary: str, name: str) -> str:
    """Return an alert's summary without the words of its rule, where these stand beside it.

    Examples
    --------
    >>> without_rule("Early warning (ADWIN): shifted by about +0.5 sd", "adwin")
    'shifted by about +0.5 sd'
    """
    return summary.removeprefix(f"{titles.rule_words(name)}: ")


def part_of(value: float | None, whole: float) -> Markup:
    """Return a part of a difference, with the exact number beside it."""
    return or_dash(lambda one: numbers.part_of(one, whole))(value)


def time_tag(milliseconds: int) -> Markup:
    """Return a moment as an element that a script can show as "3 min ago", and in the reader's time
    zone.

    Examples
    --------
    >>> time_tag(1714557600000)
    Markup('<time data-ms="1714557600000">2024-05-01 10:00:00 UTC</time>')
    """
    return Markup('<time data-ms="{}">{}</time>').format(milliseconds, times.moment(milliseconds))


def exact_tag(milliseconds: int) -> Markup:
    """Return a moment as an element that a script can show in the reader's time zone, and never as
    "3 min ago": an end of a range, say.

    Examples
    --------
    >>> exact_tag(1714557600000)
    Markup('<time data-ms="1714557600000" data-exact>2024-05-01 10:00:00 UTC</time>')
    """
    text = times.moment(milliseconds)
    return Markup('<time data-ms="{}" data-exact>{}</time>').format(milliseconds, text)


def iso_moment(written: str) -> Markup:
    """Return a time of ISO 8601, as in a manifest or history, as `time_tag` does, or as it is if it
    is none.

    Examples
    --------
    >>> iso_moment("2024-05-01T10:00:00.5+00:00")
    Markup('<time data-ms="1714557600500">2024-05-01 10:00:00 UTC</time>')
    >>> iso_moment("<yesterday>")
    Markup('<bdi>&lt;yesterday&gt;</bdi>')
    """
    found = milliseconds(written)
    return plain.shown(written, 40) if found is None else time_tag(found)


def value(given: float | str | None) -> Markup:
    """Return a feature's value, a prediction or a label.

    Examples
    --------
    >>> value("<b>"), value(None), value(41.7)
    (Markup('<bdi>&lt;b&gt;</bdi>'), Markup('&ndash;'), Markup('<data value="41.7">41.7</data>'))
    """
    if isinstance(given, str):
        return plain.shown(given, 60)
    return or_dash(lambda number: numbers.figure(number, 6))(given)


def is_name(given: str) -> bool:
    """Tell whether a text can be part of a path or a file's name without a meaning of its own.

    Examples
    --------
    >>> is_name("steel-1.0.0-1763650000123"), is_name("../.."), is_name("a/b")
    (True, False, False)
    """
    return NAME.fullmatch(given) is not None


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "clip": plain.clip,
    "shown": plain.printable,
    "name": plain.name,
    "with_code": plain.with_code,
    "in_unit": in_unit,
    "title_of": title_of,
    "rule_words": rule_words,
    "without_rule": without_rule,
    "action_words": titles.action_words,
    "rule_anchor": glossary.anchor,
    "rule_meaning": glossary.meaning,
    "severity_words": titles.severity_words,
    "moment": times.moment,
    "moment_at": times.moment,
    "minute": times.minute,
    "duration": or_dash(times.duration),
    "count": or_dash(numbers.count),
    "figure": or_dash(numbers.figure),
    "short": or_dash(numbers.short_figure),
    "decimal": or_dash(numbers.decimal),
    "score": or_dash(numbers.score),
    "signed": or_dash(numbers.signed),
    "part_of": part_of,
    "percent": or_dash(numbers.percent),
    "signed_percent": or_dash(numbers.signed_percent),
    "p_value": or_dash(numbers.p_value),
}
"""Filters of every template."""
PAGE_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    **FILTERS,
    "shown": plain.shown,
    "name": plain.fitting_name,
    "moment": time_tag,
    "moment_at": exact_tag,
    "iso_moment": iso_moment,
    "exact_moment": times.exact_moment,
    "plain_moment": times.moment,
    "plain_decimal": numbers.decimal,
    "value": value,
    "is_name": is_name,
}
"""Filters of the dashboard's pages, where a script shows times in the reader's time zone."""
