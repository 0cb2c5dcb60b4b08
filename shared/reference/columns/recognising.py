"""What the columns of a reference are: recognised once, told in a table, kept in the version.

A column of a CSV file is texts, which say by themselves what they are; one of a data frame has a
type of its own. What was chosen by name is taken as chosen. Whatever can be meant in two ways that
matter is no guess but a question.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.columns.cells import EXACT, ColumnCells
from driftgauge.shared.reference.columns.choices import Choices, Circumstances, ColumnRow
from driftgauge.shared.reference.feature import Feature, FeatureKind
from driftgauge.shared.reference.pii import decide, is_personal
from driftgauge.shared.reference.times import (
    may_be_time,
    moments,
    numbered,
    to_ms,
    unit_of,
    written,
)
from driftgauge.shared.reference.units import unit_in
from driftgauge.shared.tables.format import ColumnType, TableFormat, TimeFormat
from driftgauge.shared.tables.values import USUAL_MARKS, number
from driftgauge.shared.wording.numbers import minus, percent
from driftgauge.shared.wording.times import moment

LEAST_ROWS: Final = 50
"""Least values from which an identifier or a constant is recognised."""
ALL_DIFFERENT: Final = 0.99
"""Share of different texts from which a column is an identifier."""
ALMOST: Final = 0.95
"""Share of numbers from which a column is one of numbers, whatever the other cells are."""
FEW_MARKS: Final = 5
"""Most different texts among numbers."""
FEW_CODES: Final = 20
"""Most different whole numbers that may be codes."""
MANY_CATEGORIES: Final = 50
"""Categories beyond which the rarer ones are counted together."""
SHOWN: Final = 3
TRUE_FALSE: Final = frozenset(("true", "false"))
NOT_A_NUMBER: Final = ("nan", "NaN")
INFINITIES: Final = ("inf", "-inf", "Infinity", "-Infinity")
WHOLE: Final = re.compile(r"[+-]?(0|[1-9]\d*)(\.0*)?")
LEADING_ZERO: Final = re.compile(r"[+-]?0\d")
EPOCHS_MS: Final = (946_684_800_000, 4_102_444_800_000)
"""The years 2000 to 2100: numbers in it may be times."""
_TIME_NAME: Final = re.compile(
    r"(^|_)(ts|at|when|epoch|created|updated|modified|timestamp)($|_)|(time|date)($|_)"
)
_ID_NAME: Final = re.compile(r"(^|_)(id|ids|uuid|guid|key|index|idx|row|nr|no|number|unnamed)($|_)")


class _Told(NamedTuple):
    """What was found out about a column."""

    kind: FeatureKind
    why: str
    warnings: tuple[str, ...] = ()
    excluded: str = ""
    taken: str = ""
    more: Mapping[str, Any] = {}


def recognised(
    name: str, cells: Any, choices: Choices, place: Circumstances, *, nullable: bool = False
) -> tuple[Feature, ColumnRow]:
    """Find out what a column is.

    Parameters
    ----------
    cells
        Texts of a CSV file, or a column of a data frame.
    nullable
        True if the feature may be missing although no cell is.

    Raises
    ------
    BadData
        With a question, if it can be meant in two ways; or if it is not what was chosen.

    Examples
    --------
    >>> feature, row = recognised("site", ["007", "102"], Choices(), Circumstances())
    >>> feature.kind, row.why
    ('categorical', 'leading zeros: codes')
    >>> recognised("x", ["1.5", "2", "?"] * 9, Choices(), Circumstances())[0].marks
    ('?',)
    >>> recognised("load [kW]", ["1.5", "2"], Choices(), Circumstances())[0].unit
    'kW'
    """
    column = ColumnCells(name, cells, choices)
    chosen = choices.types.get(name)
    told = _chosen(column, chosen) if chosen is not None else _found(column, place)
    told = _left_out(column, told, place, by_choice=chosen is not None)
    marked = column.marked(told.more.get("marks", ()))
    missing = column.rows - column.present + sum(column.counts[text] for text in marked)
    feature = Feature(
        name,
        told.kind,
        nullable=nullable or missing > 0,
        excluded=told.excluded,
        unit=choices.units.get(name, unit_in(name) if told.kind == "numeric" else ""),
        **told.more,
    )
    row = ColumnRow(
        name,
        told.taken or told.kind,
        told.why,
        missing / max(column.rows, 1),
        column.distinct - len(marked),
        _shown(column, feature) if column.shows else "",
        (*told.warnings, *_remarks(column, feature)),
        feature.unit,
    )
    return feature, row


def described(feature: Feature, cells: Any, choices: Choices) -> ColumnRow:
    """Return the line of a column whose feature is given by a schema."""
    column = ColumnCells(feature.name, cells, choices)
    marked = column.marked(feature.marks)
    missing = column.rows - column.present + sum(column.counts[text] for text in marked)
    return ColumnRow(
        feature.name,
        feature.kind,
        "as in the schema",
        missing / max(column.rows, 1),
        column.distinct - len(marked),
        "" if decide(feature.name, feature.pii) != "keep" else _shown(column, feature),
        tuple(_remarks(column, feature)),
        feature.unit,
    )


# -- what cells say --------------------------------------------------------------------------------


def _found(column: ColumnCells, place: Circumstances) -> _Told:
    """Find out what a column is by its cells."""
    if column.typed is not None and not _is_untyped(column.typed):
        return _of_dtype(column)
    if not column.present:
        return _Told("numeric", "no values", ("all values are missing",))
    if column.texts[0].strip().lower() in TRUE_FALSE and TRUE_FALSE.issuperset(
        text.strip().lower() for text in column.counts
    ):
        return _Told("boolean", "true and false")
    if column.typed is None:
        told = _as_numbers(column, place)
        if told is not None:
            return told
        _refuse_notation(column)
    if not column.shows and not place.fitted:
        return _Told("categorical", "text")
    return _as_times(column, place) or _Told("categorical", "text")


def _is_untyped(series: pd.Series) -> bool:
    """Tell whether a column of a data frame holds texts or objects."""
    return not (
        pd.api.types.is_numeric_dtype(series.dtype)
        or pd.api.types.is_datetime64_any_dtype(series.dtype)
        or isinstance(series.dtype, pd.CategoricalDtype)
    )


def _of_dtype(column: ColumnCells) -> _Told:
    """Take a column of a data frame as its type says."""
    assert column.typed is not None  # noqa: S101  its caller has looked
    dtype = column.typed.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _Told("categorical", f"dtype {dtype.name}")
    if pd.api.types.is_bool_dtype(dtype):
        return _Told("boolean", f"dtype {dtype}")
    if pd.api.types.is_datetime64_any_dtype(dtype):
        form = TimeFormat(timezone=column.choices.timezone)
        return _Told("timestamp", f"dtype {dtype}", more={"time": form})
    if column.odd:
        return _Told("numeric", f"dtype {dtype}", _odd_cells(column), more=_marks(column))
    return _epoch(column) or _Told("numeric", f"dtype {dtype}", _ways(column))


def _as_numbers(column: ColumnCells, place: Circumstances) -> _Told | None:
    """Take texts as numbers, if all of them are some, or nearly all."""
    if column.share(column.odd.total()) >= 1:
        return None
    if any(LEADING_ZERO.match(text.strip()) for text in column.counts):
        return _Told("categorical", "leading zeros: codes") if not column.odd else None
    odd = column.odd
    if not odd:
        if not place.fitted and _epoch(column) is None and _are_long(column):
            why = "more digits than a number is exact to: codes"
            return _Told("categorical", why, _perhaps_times(column))
        return _epoch(column) or _Told("numeric", "numbers", _ways(column))
    if not all(map(_is_mark, odd)):
        unusual = sum(not _is_mark(text) for text in odd)
        few = unusual <= FEW_MARKS and column.distinct - len(odd) > FEW_CODES
        if column.share(odd.total()) > 1 - ALMOST or not few:
            return None
    return _Told("numeric", "numbers, but for some", _odd_cells(column), more=_marks(column))


def _refuse_notation(column: ColumnCells) -> None:
    """Refuse a column of numbers that are written in another way than was said, which would be as
    many categories.

    Raises
    ------
    BadData
        With the question.
    """
    if column.distinct <= FEW_CODES:
        return
    texts, said = list(column.counts), column.choices.table.decimal
    other = TableFormat(decimal="," if said == "." else ".")
    odd = next((text for text in texts if other.decimal in text), "")
    if number(odd, other) is None or not all(
        _is_mark(text) or number(text, other) is not None for text in texts
    ):
        return
    shown = f", such as {odd.strip()[:20]!r}" if column.shows else ""
    raise BadData(
        f"Column {column.name!r} has numbers whose decimal mark is {other.decimal!r}{shown}, and "
        f"not {said!r}; say --decimal {other.decimal} or {column.option('categorical')}"
    )


def _are_long(column: ColumnCells) -> bool:
    """Tell whether all are whole numbers, and some of more digits than float64 is exact to."""
    long = np.abs(column.numeric).max(initial=0) > EXACT
    return bool(long) and all(map(WHOLE.fullmatch, map(str.strip, column.counts)))


def _odd_cells(column: ColumnCells) -> tuple[str, ...]:
    """Say which cells are no finite numbers, and what becomes of them."""
    texts = [repr(text.strip()[:20]) for text in list(column.odd)[:FEW_MARKS]]
    shown = f" ({', '.join(texts)})" if column.shows else ""
    said = (
        f"almost numeric: {column.odd.total():,} of {column.present:,} cells are no numbers{shown} "
        f"and are taken as missing; {column.option('categorical')} takes all as categories"
    )
    return (said,)


def _marks(column: ColumnCells) -> dict[str, tuple[str, ...]]:
    """Return the marks of a column's missing values; what is not finite has several spellings."""
    found: dict[str, None] = {}
    for text in column.odd:
        value = number(text, TableFormat())
        spellings = NOT_A_NUMBER if value is None or np.isnan(value) else INFINITIES
        found |= dict.fromkeys((text.strip(),) if value is None else (text.strip(), *spellings))
    return {"marks": tuple(found)}


def _is_mark(text: str) -> bool:
    """Tell whether a text is a usual mark of a missing value, or a number that is not finite."""
    return text.strip() in USUAL_MARKS or number(text, TableFormat()) is not None


def _ways(column: ColumnCells) -> tuple[str, ...]:
    """Say how numbers are taken that may be something else."""
    values = np.unique(column.numeric)
    if len(values) < 2 or not (values == np.floor(values)).all():
        return ()
    if len(values) > FEW_CODES:
        return _perhaps_times(column)
    if set(values.tolist()) == {0.0, 1.0}:
        ways = f"{column.option('boolean')} or {column.option('categorical')} changes it"
        return (f"0 and 1 are taken as numbers; {ways}",)
    ways = f"if they are codes, say {column.option('categorical')}"
    return (f"{len(values)} different whole numbers are taken as numbers; {ways}",)


def _epoch(column: ColumnCells) -> _Told | None:
    """Take numbers as times, if their column is named so and they are of our days."""
    if column.odd or not _TIME_NAME.search(_snake(column.name)) or not _is_of_our_days(column):
        return None
    unit = column.choices.time_unit or unit_of(column.numeric)
    return _Told(
        "timestamp",
        f"{unit} since 1970, by name and size",
        more={"time": TimeFormat(unit=unit, timezone=column.choices.timezone)},
    )


def _is_of_our_days(column: ColumnCells) -> bool:
    """Tell whether all numbers are within EPOCHS_MS, taken as times."""
    values = column.numeric
    if not len(values):
        return False
    ms = to_ms(values, column.choices.time_unit or unit_of(values))
    return bool(ms.min() >= EPOCHS_MS[0] and ms.max() < EPOCHS_MS[1])


def _perhaps_times(column: ColumnCells) -> tuple[str, ...]:
    """Say of whole numbers that they may be times, although the column is not named so."""
    if not column.shows or not _is_of_our_days(column):
        return ()
    unit = column.choices.time_unit or unit_of(column.numeric)
    ends = to_ms(np.array((column.numeric.min(), column.numeric.max())), unit)
    first, last = (moment(int(end)) for end in ends.tolist())
    ways = f"{column.option('timestamp')} takes them as such"
    return (f"they may be times in {unit}, {first} to {last}; {ways}",)


def _as_times(column: ColumnCells, place: Circumstances) -> _Told | None:
    """Take texts as times, if all of them are some, or all but a few that have not even digits."""
    marks = [text for text in column.counts if text.strip() in USUAL_MARKS]
    others = [text for text in column.counts if text.strip() not in USUAL_MARKS]
    odd = [text for text in others if not may_be_time(text)]
    cells = sum(column.counts[text] for text in odd)
    if len(odd) == len(others) or len(odd) > FEW_MARKS or column.share(cells) > 1 - ALMOST:
        return None
    marks, texts = marks + odd, [text for text in others if may_be_time(text)]
    try:
        form = _time_format(column, texts)
    except BadData:  # which of its meanings it has does not matter where it is not judged
        if not place.in_hand:
            raise
        form = TimeFormat(pattern="day or month first")
    if form is None:
        return None
    how = form.pattern or "ISO 8601"
    if place.fitted or place.in_hand:
        reason = "a time as text" + ", which the model gets as it is" * place.fitted
        return _Told(
            "categorical", f"times as {how}", (f"date as text: {reason}",), reason, "timestamp"
        )
    more = {"time": form, "marks": tuple(text.strip() for text in marks)}
    warnings = ["date as text"]
    if marks:
        cells = sum(column.counts[text] for text in marks)
        shown = ", ".join(repr(text.strip()[:20]) for text in marks[:FEW_MARKS])
        warnings.append(f"{cells:,} cells are no times ({shown}) and are taken as missing")
    return _Told("timestamp", f"times as {how}", tuple(warnings), more=more)


def _time_format(column: ColumnCells, texts: Sequence[str]) -> TimeFormat | None:
    choices = column.choices
    if choices.date_format:
        form = TimeFormat(pattern=choices.date_format, timezone=choices.timezone)
        if not np.isnan(moments(texts, form)).any():
            return form
    return written(column.name, texts, choices.timezone)


# -- what was chosen -------------------------------------------------------------------------------


def _chosen(column: ColumnCells, chosen: ColumnType) -> _Told:
    """Take a column as it was chosen."""
    said = f"as said: {chosen}"
    match chosen:
        case "numeric":
            if column.share(column.odd.total()) > 1 - ALMOST:
                raise _unlike(column, chosen, column.odd)
            warnings = _odd_cells(column) if column.odd else ()
            return _Told("numeric", said, warnings, more=_marks(column))
        case "categorical":
            whole = all(map(WHOLE.fullmatch, map(str.strip, column.counts)))
            coded = column.present and whole and not _are_long(column)
            return _Told("categorical", said, more={"dtype": "float64"} if coded else {})
        case "boolean":
            reads = Feature(column.name, "boolean")
            odd = [text for text in column.counts if reads.fault(text) is not None]
            if odd:
                raise _unlike(column, chosen, odd)
            return _Told("boolean", said)
        case "timestamp" | "hour_of_week":
            return _chosen_time(column, chosen)
    told = _found(column, Circumstances())
    return told._replace(why=said, taken=chosen, excluded=f"{_ARTICLE[chosen]} {chosen}, as said")


_ARTICLE: Final = {"identifier": "an", "constant": "a"}


def _chosen_time(column: ColumnCells, chosen: ColumnType) -> _Told:
    choices, form = column.choices, None
    if column.typed is not None and pd.api.types.is_datetime64_any_dtype(column.typed.dtype):
        form = TimeFormat(timezone=choices.timezone)
    elif not column.odd and column.present and not choices.date_format:
        unit = choices.time_unit or unit_of(column.numeric)
        form = TimeFormat(unit=unit, timezone=choices.timezone)
    elif column.present:
        form = _time_format(column, list(column.counts))
    if form is None:
        raise BadData(
            f"Column {column.name!r} cannot be read as times: write them as 2025-11-20T12:00:00Z, "
            f"or say --date-format."
        )
    judged = "hour_of_week" if chosen == "hour_of_week" else "age"
    return _Told("timestamp", f"as said: {chosen}", more={"time": form, "judged": judged})


def _unlike(column: ColumnCells, chosen: str, odd: Iterable[str]) -> BadData:
    cells = sum(column.counts[text] for text in odd)
    return BadData(
        f"Column {column.name!r} is said to be {chosen}, but {cells:,} of {column.present:,} cells "
        f"are none. Name what means a missing value with --missing, or choose another type."
    )


# -- what is left out of drift ---------------------------------------------------------------------


def _left_out(column: ColumnCells, told: _Told, place: Circumstances, *, by_choice: bool) -> _Told:
    """Leave identifiers, constants, and times without an age out of drift."""
    if told.excluded:
        return told
    if told.kind == "timestamp":
        if told.more.get("judged") == "hour_of_week" or place.timed:
            return told
        reason = "a time whose age is not known: the rows have no time of their own"
        advice = (
            f"left out of drift: {reason}; say --time-column, or {column.option('hour_of_week')}"
        )
        return told._replace(excluded=reason, warnings=(*told.warnings, advice))
    if by_choice or column.present < LEAST_ROWS:
        return told
    taken = ""
    marked = column.marked(told.more.get("marks", ()))
    if column.distinct - len(marked) == 1 and not place.in_hand:
        taken, reason = "constant", "constant: the reference has one value"
    elif _is_identifier(column, told.kind, place):
        taken, reason = "identifier", "looks like an id: each row has its own value"
    if not taken:
        return told
    advice = f"left out of drift: {reason}; {column.option(told.kind)} judges it"
    return told._replace(taken=taken, excluded=reason, warnings=(*told.warnings, advice))


def _is_identifier(column: ColumnCells, kind: FeatureKind, place: Circumstances) -> bool:
    """Tell whether each row has its own value: texts, row numbers, or whole numbers named so."""
    if kind == "categorical":
        return column.distinct >= ALL_DIFFERENT * column.present
    if kind != "numeric" or column.odd or column.distinct < column.present:
        return False
    values = column.numeric
    if not (values == np.floor(values)).all():
        return False
    row_numbers = values[0] in {0.0, 1.0} and bool((np.diff(values) == 1).all())
    named = _ID_NAME.search(_snake(column.name)) is not None
    return named or (row_numbers and not place.in_hand)


# -- the table -------------------------------------------------------------------------------------


def _remarks(column: ColumnCells, feature: Feature) -> list[str]:
    """Say what else may be wrong with a column."""
    found = []
    if is_personal(column.name):
        found.append('personal by name: not published; "pii" in the schema changes it')
    if feature.kind == "categorical" and not feature.excluded:
        if column.distinct > MANY_CATEGORIES:
            found.append(
                f"{column.distinct:,} categories: those beyond the {MANY_CATEGORIES} most "
                f"frequent are counted together"
            )
        found += [
            f"{mark!r} in {times:,} cells is a category; --missing {mark!r} takes it as missing"
            for mark, times in column.counts.items()
            if column.shows and mark.strip() in USUAL_MARKS
        ][:SHOWN]
    return found


def _shown(column: ColumnCells, feature: Feature) -> str:
    """Show the range of numbers and times, or the most frequent values."""
    if feature.kind == "timestamp" and feature.time is not None and column.present:
        texts = [text for text in column.counts if text.strip() not in feature.marks]
        ms = numbered(texts, feature.time)
        first, last = np.nanmin(ms), np.nanmax(ms)
        return f"{moment(int(first))} to {moment(int(last))}"
    if feature.kind == "numeric" and len(column.numeric):
        return minus(f"{column.numeric.min():.6g} to {column.numeric.max():.6g}")
    if feature.excluded.startswith("looks like an id"):
        return ""
    top = column.counts.most_common(SHOWN)
    more = ", …" if column.distinct > SHOWN else ""
    return ", ".join(f"{text[:30]} {percent(times / column.present)}" for text, times in top) + more


def _snake(name: str) -> str:
    """Return a name in lower case with underscores between its words."""
    return re.sub(r"[\W_]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower()
