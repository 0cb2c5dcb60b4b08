"""The rows of a slice, and the others, as an archive has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from driftgauge.consumer.offline.archived.events import shares_of
from driftgauge.consumer.offline.archived.sample import PARTS, Sample
from driftgauge.consumer.slicing.condition import Condition
from driftgauge.shared.archive.columns import FEATURE
from driftgauge.shared.archive.querying import Query
from driftgauge.shared.archive.scan import Range, Told, files, schema_of
from driftgauge.shared.archive.store import Store
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature, FeatureKind, Kind
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema

MOST_ROWS: Final = 200_000
"""Most rows of a side that are read; of more, as many are chosen by their ids."""
CHOSEN_BY: Final = "the condition chooses rows by it"
CLASSES: Final = b"classes"
"""Key of the metadata of probabilities that holds the classes."""


@dataclass(frozen=True)
class Columns:
    """What the rows of an archive are.

    Parameters
    ----------
    names
        The column of each feature of the schema.
    schema
        The features as they are archived: what was dropped as personal is none of them, what was
        hashed is a category.
    versions
        The versions that have rows.
    """

    names: tuple[str, ...]
    schema: Schema
    versions: tuple[str, ...]


def columns_of(store: Store, wanted: Range, told: Told, version: str | None) -> Columns:
    """Find out what the rows of a range are.

    Parameters
    ----------
    version
        The only version that is looked at; None for all.

    Raises
    ------
    BadData
        If there is no row.
    """
    found = files(store, "predictions", wanted, told)
    by_version = {file.version: (path, file) for path, file in found}
    chosen = [one for one in found if version in {None, one[1].version}]
    if not chosen:
        there = f" of {version}; there is {', '.join(sorted(by_version))}" if by_version else ""
        raise BadData(f"The archive has no predictions of {wanted.model} in that time{there}.")
    fields = schema_of(store, chosen)
    features = [one for one in fields if one.metadata and FEATURE in one.metadata]
    kinds = {one.name: one.type for one in fields}
    answer = kinds.get("prediction")
    prediction: Kind | None = None
    if answer is not None:
        prediction = "categorical" if pa.types.is_dictionary(answer) else "numeric"
    return Columns(
        tuple(one.name for one in features),
        Schema(
            tuple(
                Feature(one.metadata[FEATURE].decode(), _kind(one.type), nullable=True, pii="keep")
                for one in features
            ),
            prediction,
            classes=_classes(store, [one for one in by_version.values() if one in chosen]),
        ),
        tuple(sorted({file.version for _, file in chosen})),
    )


def latest_version(store: Store, wanted: Range, told: Told) -> str:
    """Return the version of the latest prediction of a range; empty without one."""
    found = files(store, "predictions", wanted, told)
    return max(found, key=lambda one: one[1].last)[1].version if found else ""


def _kind(kind: Any) -> FeatureKind:
    if pa.types.is_dictionary(kind):
        return "categorical"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    return "boolean" if pa.types.is_boolean(kind) else "numeric"


def _classes(store: Store, chosen: list[Any]) -> tuple[str, ...]:
    """Return the classes of the probabilities; none if versions have different ones."""
    found = set()
    for one in chosen:
        fields = [field for field in schema_of(store, [one]) if field.name == "probabilities"]
        said = fields[0].metadata.get(CLASSES, b"") if fields and fields[0].metadata else b""
        found.add(tuple(said.decode().split("\n")) if said else ())
    return found.pop() if len(found) == 1 else ()


def read_side(
    query: Query,
    columns: Columns,
    condition: Condition | None,
    version: str | None,
    *,
    inside: bool,
) -> Sample:
    """Read the rows that fulfil a condition, or those that do not.

    Parameters
    ----------
    condition
        None takes all rows.
    version
        The only version whose rows are read; None for all.
    inside
        Whether the rows that fulfil it are wanted.

    Raises
    ------
    BadData
        If the condition cannot be asked of these rows, or it takes too long or too much memory.
    """
    where = [] if condition is None else [f"{'' if inside else 'NOT '}{condition.sql}"]
    where += [] if version is None else [f"version = {_text(version)}"]
    rows = sum(
        batch.column(0)[0].as_py()
        for batch in query.run(f"SELECT count(*) FROM joined{_where(where)}")  # noqa: S608  it reaches the archive alone
    )
    if rows > MOST_ROWS:
        share = int(MOST_ROWS / rows * PARTS)
        where.append(f"md5_number_lower(id) % {PARTS} < {share}")
    return _side(columns, rows, query.run(_selected(columns, where)))


def without(columns: Columns, condition: Condition) -> Schema:
    """Return the schema with the columns left out of drift that a condition is about: its rows
    differ from others in these by choice.
    """
    features = [
        msgspec.structs.replace(one, excluded=CHOSEN_BY)
        if name.casefold() in condition.columns
        else one
        for name, one in zip(columns.names, columns.schema.features, strict=True)
    ]
    return msgspec.structs.replace(columns.schema, features=tuple(features))


def missing(column: Column) -> Any:
    """Tell of each value of a column whether it is missing."""
    if isinstance(column, list):
        return np.array([one is None for one in column], dtype=bool)
    return np.isnan(column)


def rows_of(column: Column, rows: Any) -> Column:
    """Return some rows of a column, by their places or by a flag of each.

    >>> rows_of(["a", None, "b"], np.array([True, False, True]))
    ['a', 'b']
    """
    if isinstance(column, list):
        places = np.flatnonzero(rows) if rows.dtype == bool else rows
        return [column[place] for place in places.tolist()]
    chosen: Column = column[rows]
    return chosen


def _where(parts: list[str]) -> str:
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def _selected(columns: Columns, where: list[str]) -> str:
    schema = columns.schema
    wanted = [
        "epoch_ms(time)",
        *(_read(name, one) for name, one in zip(columns.names, schema.features, strict=True)),
    ]
    if schema.prediction is not None:
        kind = "DOUBLE" if schema.prediction == "numeric" else "VARCHAR"
        wanted += [f"TRY_CAST({name} AS {kind})" for name in ("prediction", "label")]
    wanted += ["probabilities"] if schema.classes else []
    return f"SELECT {', '.join(wanted)} FROM joined{_where(where)}"  # noqa: S608  it reaches the archive alone


def _read(name: str, feature: Feature) -> str:
    column = '"' + name.replace('"', '""') + '"'
    if feature.kind == "categorical":
        return f"CAST({column} AS VARCHAR)"
    if feature.kind == "timestamp":
        return f"CAST(epoch_ms({column}) AS DOUBLE)"
    return f"CAST({column} AS DOUBLE)"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _side(columns: Columns, rows: int, batches: Iterator[Any]) -> Sample:
    """Put the batches of a query together."""
    found = list(batches)
    schema = columns.schema
    places = len(columns.names)
    parts = [
        pa.chunked_array([batch.column(place) for batch in found]) if found else None
        for place in range(len(found[0].schema) if found else 0)
    ]

    def column(place: int, kind: Kind) -> Column:
        if not parts:
            return np.empty(0) if kind == "numeric" else []
        return _values(parts[place], kind)

    answers = [
        None if schema.prediction is None else column(1 + places + more, schema.prediction)
        for more in (0, 1)
    ]
    return Sample(
        rows,
        np.asarray(column(0, "numeric"), np.float64),
        [column(1 + place, one.counted) for place, one in enumerate(schema.features)],
        answers[0],
        answers[1],
        shares_of(parts[-1], len(schema.classes)) if schema.classes and parts else None,
    )


def _values(part: Any, kind: Kind) -> Column:
    if kind == "categorical":
        texts: list[str | None] = part.to_pylist()
        return texts
    values = part.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(values), values, np.nan)
