"""What derived columns cost the API: rows as they are published with them, and without.

python -m benchmarks.scale.derived [--rows 20000]

Rows of some features, with one in fifty values missing, become events: what is derived is added, of
a row alone as /predict does, or of many at once as /events and /predict_batch do. The same of a
version without a derivation is measured beside it, turn by turn; the fastest of five turns counts.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

import click
import msgspec
import numpy as np

from benchmarks.results import ResultRow, write
from driftgauge.shared.contract.events import Prediction, Value, encode
from driftgauge.shared.reference.derivation import Derivation
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema

FEATURES: Final = (2, 18, 100)
LISTS: Final = (1, 16, 64, 1000)
TURNS: Final = 5
SMOKE = ("--rows", "400")

Rows = Sequence[list[Value]]


def schema_of(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Schema:
    """Return a schema of the columns of reference rows, with a derivation."""
    names = [f"x{place}" for place in range(values.shape[1])]
    features = tuple(Feature(name, "numeric", nullable=True) for name in names)
    return Schema(features, prediction=None, derivation=Derivation.fit(names, list(values.T)))


def rows_of(features: int, rows: int) -> tuple[Schema, list[list[Value]]]:
    """Return a schema and rows of features that go together."""
    random = np.random.default_rng(features)
    values = random.normal(size=(rows, features)) @ random.normal(size=(features, features))
    values[random.random(values.shape) < 0.02] = np.nan
    lists = [[None if value != value else value for value in row] for row in values.tolist()]  # noqa: PLR0124  NaN
    return schema_of(values), lists


def published(schema: Schema, rows: Rows) -> None:
    """Make the events of a list of rows, as they stand in the log."""
    for row, more in zip(rows, schema.derived(rows), strict=True):
        encode(Prediction("id", "1.0.0", 0, [*row, *more], None))


def seconds(work: Callable[[], None]) -> float:
    """Return the CPU time of some work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def measured(features: int, together: int, rows: int) -> ResultRow:
    """Return the µs a row with and without derived columns, in lists of some rows."""
    schema, given = rows_of(features, rows)
    plain = msgspec.structs.replace(schema, derivation=None)

    def all_of(one: Schema) -> Callable[[], None]:
        def work() -> None:
            for first in range(0, rows, together):
                published(one, given[first : first + together])

        return work

    turns = [(seconds(all_of(schema)), seconds(all_of(plain))) for _ in range(TURNS)]
    with_, without = (min(column) / rows * 1e6 for column in zip(*turns, strict=True))
    return {
        "features": features,
        "rows at once": together,
        "µs with": round(with_, 2),
        "µs without": round(without, 2),
        "µs more": round(with_ - without, 2),
    }


@click.command()
@click.option("--rows", default=20_000, show_default=True, help="Rows of each measurement.")
def main(rows: int) -> None:
    found = [measured(features, together, rows) for features in FEATURES for together in LISTS]
    write("derived", "CPU time a row and its event, with derived columns and without", found)


if __name__ == "__main__":
    main()
