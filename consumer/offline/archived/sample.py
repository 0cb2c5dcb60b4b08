"""Archived rows of a version, column by column: what a reference is made of.

Memory is bounded: of more rows than are taken, as many are chosen by a hash of their ids, so the
same rows are chosen whatever files they are in.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.offline.archived.events import column_of, numbers_or_texts, shares_of
from driftgauge.shared.archive.columns import column_names
from driftgauge.shared.archive.joining import joined
from driftgauge.shared.archive.scan import Range, dates, files, scan
from driftgauge.shared.archive.store import Store
from driftgauge.shared.arrays import Flags, Floats
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.versions.manifest import PublishedVersion
from driftgauge.shared.wording.times import moment

MOST_VALUES: Final = 20_000_000
"""Most values of a sample, features and predictions: a million rows of 20 columns."""
PARTS: Final = 1_000_000
"""Parts that the ids are divided into, to choose some."""
HASH_KEY: Final = "driftgauge rows "
"""Key of the hash by which ids are chosen; pandas wants 16 characters."""


@dataclass(frozen=True)
class Sample:
    """Some rows of an archive, column by column.

    Parameters
    ----------
    rows
        Rows that there are; those of the columns may be fewer.
    times
        When each was predicted, in Unix ms.
    columns
        One for each feature of the schema: an array with NaN, or a list with None, for what is
        missing.
    predictions, labels
        None for a model that predicts nothing.
    probabilities
        Shape (rows, classes), NaN where a row has none; None for a model without.
    """

    rows: int
    times: Floats
    columns: list[Column]
    predictions: Column | None
    labels: Column | None
    probabilities: Floats | None

    @property
    def read(self) -> int:
        """Rows that were read."""
        return len(self.times)


def rows_taken(published: PublishedVersion) -> int:
    """Return how many rows of a version are taken at most."""
    return MOST_VALUES // len(published.reference.columns)


def rows_of(store: Store, published: PublishedVersion, wanted: Range) -> int:
    """Return how many rows of a version and range count for drift.

    Raises
    ------
    BadData
        If there is none, or a file cannot be read.
    """
    sources = CellMap.of(published).sources
    batches = scan(store, "predictions", wanted, refuse, ["source"])
    rows = sum(int(np.count_nonzero(_is_of(batch, sources))) for batch in batches)
    if not rows:
        raise BadData(_nothing(store, wanted))
    return rows


def read_sample(
    store: Store, published: PublishedVersion, wanted: Range, rows: int, most: int | None = None
) -> Sample:
    """Read the rows of a version and range that count for drift, with their labels.

    Parameters
    ----------
    rows
        How many there are, as from `rows_of`.
    most
        About how many are taken at most; None for as many as memory is allowed for.

    Raises
    ------
    BadData
        If a file cannot be read.
    """
    schema, most = published.schema.stream, most or rows_taken(published)
    share = PARTS if rows <= most else PARTS * most // rows
    sources = CellMap.of(published).sources
    names = ["time", *column_names(feature.name for feature in schema.features)]
    names += [] if schema.prediction is None else ["prediction", "label"]
    parts: list[list[Column]] = [[] for _ in names]
    shares: list[Floats] = []
    for batch in joined(store, wanted, refuse):
        kept = _is_of(batch, sources) & _is_chosen(batch, share)
        part = batch.filter(pa.array(kept))
        for column, name in zip(parts, names, strict=True):
            column.append(numbers_or_texts(column_of(part, name)))
        if schema.classes:
            shares.append(shares_of(column_of(part, "probabilities"), len(schema.classes)))
    columns = [_together(column) for column in parts]
    predicted = schema.prediction is not None
    return Sample(
        rows,
        np.asarray(columns[0], np.float64),
        columns[1 : 1 + len(schema.features)],
        columns[-2] if predicted else None,
        columns[-1] if predicted else None,
        np.concatenate(shares) if shares else None,
    )


def refuse(said: str) -> NoReturn:
    """Refuse an archive of which a file cannot be read."""
    raise BadData(f"A reference needs all rows. {said}")


def _is_of(batch: Any, sources: frozenset[str]) -> Flags:
    """Tell of each row of a batch whether it is of some sources."""
    known = pa.array(sorted(sources), pa.string())
    found: Flags = np.asarray(pc.is_in(batch.column("source").cast(pa.string()), known), np.bool_)
    return found


def _is_chosen(batch: Any, share: int) -> Flags:
    """Tell of each row of a batch whether its id is among some of the `PARTS` of all ids."""
    if share >= PARTS:
        return np.ones(batch.num_rows, np.bool_)
    ids = np.array(batch.column("id").to_pylist(), dtype=object)
    hashes = pd.util.hash_array(ids, hash_key=HASH_KEY, categorize=False)
    chosen: Flags = hashes % np.uint64(PARTS) < share
    return chosen


def _together(parts: list[Column]) -> Column:
    """Put the parts of a column together, and let go of them."""
    if isinstance(parts[0], list):
        return [value for part in parts for value in part]
    whole: Column = np.concatenate(parts)
    parts.clear()
    return whole


def _nothing(store: Store, wanted: Range) -> str:
    """Say that there is no row, and what there is instead."""
    since = "the beginning" if wanted.since is None else moment(wanted.since)
    until = "now" if wanted.until is None else moment(wanted.until)
    return (
        f"{store.where()} has no predictions of {wanted.model} {wanted.version} from {since} to "
        f"{until} that count for drift; {_instead(store, wanted)}."
    )


def _instead(store: Store, wanted: Range) -> str:
    in_time = files(store, "predictions", replace(wanted, version=""), refuse)
    versions = sorted({file.version for _, file in in_time})
    if wanted.version in versions:
        return "those of batches do not, and shadow ones never do: choose other times"
    if versions:
        return f"it has those of {', '.join(versions)}: choose one with --version"
    days = dates(store, "predictions", Range(wanted.model))
    if days:
        return f"its days go from {days[0]} to {days[-1]}: choose --since and --until among them"
    return "it has none of the model"
