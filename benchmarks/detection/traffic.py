"""References, traffic without drift, and what is injected into it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from driftgauge.consumer.counting.detectors import Observed
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature, Kind
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema

REFERENCE_ROWS = 5000
CHUNK = 1000

Injection = Callable[[Floats, np.random.Generator], Floats]


def _lost(values: Floats, random: np.random.Generator) -> Floats:
    return np.where(random.random(len(values)) < 0.05, np.nan, values)


INJECTIONS: dict[str, Injection] = {
    ".25 sd": lambda values, _: values + 0.25,
    ".5 sd": lambda values, _: values + 0.5,
    "1 sd": lambda values, _: values + 1.0,
    "variance x1.5": lambda values, _: values * 1.5**0.5,
    "5 % missing": _lost,
}
"""Into a standard normal feature."""


@dataclass(frozen=True)
class Stream:
    """A reference and what comes after it, column by column."""

    cell_map: CellMap
    reference: list[Column]
    columns: list[Column]

    @property
    def numbers(self) -> Floats:
        """The columns as numbers, shape (columns, events)."""
        return np.array(self.columns, dtype=float)

    @cached_property
    def cells(self) -> Ints:
        references = self.cell_map.reference.columns
        found = [
            reference.cells(column)
            for reference, column in zip(references, self.columns, strict=True)
        ]
        return np.array(found) + self.cell_map.offsets[:-1, None]

    def chunks(self) -> list[Observed]:
        """Return the events as a worker would show them."""
        events = self.cells.shape[1]
        return [
            Observed(
                self.cells[:, first : first + CHUNK],
                self.cell_map.ranks,
                [f"event-{place}" for place in range(first, min(first + CHUNK, events))],
            )
            for first in range(0, events, CHUNK)
        ]


def cell_map(columns: list[Column]) -> CellMap:
    """Build a reference from columns: lists are categories, arrays are numbers."""
    kinds: list[Kind] = [
        "categorical" if isinstance(column, list) else "numeric" for column in columns
    ]
    schema = Schema(
        tuple(Feature(f"x{place}", kind, nullable=True) for place, kind in enumerate(kinds))
    )
    return CellMap(schema, build_profile(schema, columns, None))


def normal(
    seed: int, features: int, events: int, injected: str | None = None, clean: int = 0
) -> Stream:
    """Draw standard normal features; after `clean` events the first one drifts."""
    random = np.random.default_rng(seed)
    reference: list[Column] = list(random.normal(size=(features, REFERENCE_ROWS)))
    values = random.normal(size=(features, events))
    if injected is not None:
        values[0, clean:] = INJECTIONS[injected](values[0, clean:], random)
    return Stream(cell_map(reference), reference, list(values))


LEFT_OUT = {"date", "ID", "instant", "dteday"}


def read(path: Path) -> list[Column]:
    """Read the features of a CSV file; columns of text are categories."""
    frame = pd.read_csv(path).drop(columns=list(LEFT_OUT), errors="ignore")
    return [
        frame[name].to_numpy(dtype=float)
        if pd.api.types.is_numeric_dtype(frame[name])
        else frame[name].tolist()
        for name in frame.columns
    ]


def resampled(columns: list[Column], seed: int, events: int) -> Stream:
    """Draw the reference and the events after it from the rows of a file, all independently:
    exchangeable for certain.
    """
    random = np.random.default_rng(seed)
    rows = random.integers(0, len(columns[0]), REFERENCE_ROWS + events)

    def taken(column: Column, part: Ints) -> Column:
        return [column[row] for row in part.tolist()] if isinstance(column, list) else column[part]

    reference = [taken(column, rows[:REFERENCE_ROWS]) for column in columns]
    return Stream(
        cell_map(reference), reference, [taken(column, rows[REFERENCE_ROWS:]) for column in columns]
    )
