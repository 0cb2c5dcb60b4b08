"""The table of the reference: read once, with the type of each column told and kept."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.columns.choices import IN_HAND, Choices, Circumstances, ColumnRow
from driftgauge.shared.reference.columns.recognising import described, recognised
from driftgauge.shared.reference.columns.whole_table import LOOKING, recognise
from driftgauge.shared.reference.feature import WRITTEN, Feature
from driftgauge.shared.reference.schema import RESERVED, Schema, meaning
from driftgauge.shared.reference.times import event_times
from driftgauge.shared.steps import At, silent, steps
from driftgauge.shared.tables.format import TimeFormat
from driftgauge.shared.tables.reading import open_table
from driftgauge.shared.tables.table import Table

MOST_CLASSES: Final = 50
"""Most classes that are taken from the columns of predictions and true values."""


@dataclass(frozen=True)
class Special:
    """The columns of a reference that are no features.

    Parameters
    ----------
    prediction, target, time
        The predictions, the true values, and when the rows happened.
    probabilities
        Probability of each class, in the order of the classes; or of the second of two.
    """

    prediction: str | None = None
    target: str | None = None
    time: str | None = None
    probabilities: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are named."""
        single = (self.prediction, self.target, self.time)
        return (*(name for name in single if name is not None), *self.probabilities)


@dataclass(frozen=True)
class ReferenceTable:
    """What was read of a reference.

    Parameters
    ----------
    frame
        Its columns: numbers as such, what is to be read by a feature's rules as it is written.
    features
        Each column that is no special one, by name, as it was recognised or as the schema has it.
    rows
        The table to show.
    choices
        What was said, with the notation that was recognised.
    time
        How the times of the rows are written.
    events_ms
        When each row happened; None without a column of times.
    remarks
        What was recognised of the file.
    prediction
        What the column of predictions was recognised as; None without one.
    """

    source: str
    frame: pd.DataFrame
    features: dict[str, Feature]
    rows: tuple[ColumnRow, ...]
    choices: Choices
    time: TimeFormat | None
    events_ms: np.ndarray[Any, Any] | None
    remarks: tuple[str, ...]
    prediction: tuple[Feature, ColumnRow] | None = None


@dataclass(frozen=True)
class Recognised:
    """What a registration shows: the lines of the table, features first, and what was recognised of
    the file.
    """

    rows: tuple[ColumnRow, ...]
    remarks: tuple[str, ...]


def read_reference(
    path: Path,
    special: Special,
    choices: Choices,
    given: Schema | None,
    *,
    fitted: bool,
    left_out: Collection[str] = (),
    at: At = silent,
) -> ReferenceTable:
    """Read a reference, and find out what its columns are.

    Parameters
    ----------
    given
        Schema that says what they are; None to recognise them.
    fitted
        True if a model gets the columns as they are.
    left_out
        Columns to be excluded: one with a reserved name is no feature then.

    Raises
    ------
    BadData
        If the file cannot be read, lacks a special column, or asks a question.
    """
    table = open_table(path, choices.table)
    absent = [name for name in special.names if name not in table.columns]
    if absent:
        raise BadData(
            f"{path} has no column {', '.join(absent)}; it has: {', '.join(table.columns)}."
        )
    for option, named in (("--type", choices.types), ("--unit", choices.units)):
        known = {*table.columns, *(RESERVED if option == "--unit" else ())}
        unknown = [name for name in named if name not in known]
        if unknown:
            raise BadData(f"{option} names {', '.join(unknown)}, but {path} has no such column.")
    taken = [name for name in choices.types if name in special.names]
    if taken:
        raise BadData(
            f"--type names {', '.join(taken)}, which is no feature: what the predictions are is "
            f"said by --task and --classes, how times are written by --date-format and --time-unit."
        )
    gone = {*special.names, *(name for name in RESERVED if name in left_out)}
    columns = {name: cells for name, cells in table.columns.items() if name not in gone}
    remarks = list(table.remarks)
    if given is None:
        place = Circumstances(timed=special.time is not None, fitted=fitted)
        found, choices, remark = recognise(columns, choices, place, at)
        remarks += [remark] if remark else []
    else:
        found = {
            feature.name: (feature, described(feature, columns[feature.name], choices))
            for feature in steps(LOOKING, given.features, at)
            if feature.name in columns
        }
    frame = _typed(table, choices, {name: feature for name, (feature, _) in found.items()})
    time, events_ms = None, None
    if special.time is not None:
        asked = given.time if given is not None and given.time is not None else choices.time
        events_ms, time = event_times(frame[special.time], asked, str(path))
        how = f"{time.unit} since 1970" if time.unit else time.pattern or "ISO 8601"
        remarks.append(f"{special.time} has the times of the rows: {how}, {time.timezone}.")
    return ReferenceTable(
        str(path),
        frame,
        {name: feature for name, (feature, _) in found.items()},
        tuple(row for _, row in found.values()),
        choices,
        time,
        events_ms,
        tuple(remarks),
        _prediction(table, special, choices),
    )


def _prediction(
    table: Table, special: Special, choices: Choices
) -> tuple[Feature, ColumnRow] | None:
    if special.prediction is None:
        return None
    untyped = msgspec.structs.replace(choices, types={}, units={})
    cells = table.columns[special.prediction]
    return recognised(special.prediction, cells, untyped, IN_HAND)


def is_few_whole(row: ColumnRow) -> bool:
    """Tell whether a column has so few different whole numbers that they may be classes."""
    return any("taken as numbers" in warning for warning in row.warnings)


def _typed(table: Table, choices: Choices, features: Mapping[str, Feature]) -> pd.DataFrame:
    """Return the columns; what is no number or category by itself is left as it is written."""
    kinds = dict.fromkeys(table.columns, WRITTEN)
    kinds |= {name: feature.file_kind for name, feature in features.items()}
    form = msgspec.structs.replace(choices.table, separator=table.form.separator)
    return replace(table, form=form).typed(kinds).checked(table.source, list(features))


def classes_in(columns: Sequence[pd.Series]) -> tuple[str, ...]:
    """Return the classes that columns of predictions and true values hold, sorted.

    However a class is written, it is one: `1`, `1.0` and `true`.

    Raises
    ------
    BadData
        If they are too many to be classes.

    Examples
    --------
    >>> classes_in([pd.Series(["1", "0"]), pd.Series([1.0, 2.0, None])])
    ('0', '1', '2')
    >>> classes_in([pd.Series([True, False])])
    ('False', 'True')
    """
    by_meaning: dict[str, str] = {}
    for column in columns:
        for value in column.dropna().unique().tolist():
            said = meaning(value) if isinstance(value, str | bool | int | float) else str(value)
            named = said if said not in {"0", "1"} else _spelled(value)
            if str(value).strip():
                by_meaning.setdefault(said, named)
    if len(by_meaning) > MOST_CLASSES:
        raise BadData(
            f"The predictions and true values have {len(by_meaning):,} different values, which "
            f"are too many for classes; say --task regression, or --classes."
        )
    return tuple(sorted(by_meaning.values(), key=_order))


def _spelled(value: object) -> str:
    """Return 0 or 1 as a number, or as the boolean that it is written as."""
    text = str(value).strip()
    return text if text.lower() in {"true", "false"} else meaning(text)


def _order(name: str) -> tuple[bool, float, str]:
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name
