"""The integrity checks of a version's columns: which cells are bad, and the law of their share."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from consumer.judging import integrity
from shared.reference import CategoricalReference, ColumnReference, Ints, ReferenceProfile


@dataclass(frozen=True, slots=True)
class IntegrityCheck:
    """One integrity check of one column: which cells are bad, the law of their share, the reference's share."""

    column: int
    rule: integrity.Rule
    cells: Ints
    law: tuple[float, float]
    reference: float

    @property
    def mean(self) -> float:
        return self.law[0] / sum(self.law)


def checks_of(
    profile: ReferenceProfile, place: int, dispersion: float = 1.0, clustering: float = 1.0
) -> Iterator[IntegrityCheck]:
    """Give the integrity checks that suit a column.

    Rows that follow each other say less than as many independent ones: their extremes count for `dispersion` times fewer
    rows, their missing values for `clustering` times fewer.
    """
    column: ColumnReference = profile.columns[place]
    first, last = int(profile.offsets[place]), int(profile.offsets[place + 1]) - 1
    missing, share = column.counts[-1], column.counts[-1] / max(profile.rows, 1)
    law = integrity.jeffreys(missing / clustering, profile.rows / clustering)
    yield IntegrityCheck(place, "missing", np.array([last]), law, share)
    if isinstance(column, CategoricalReference):
        law = integrity.jeffreys(column.singletons, profile.rows)
        yield IntegrityCheck(place, "unseen", np.array([last - 1]), law, column.counts[-2] / max(profile.rows, 1))
    elif column.cuts:
        outside = column.counts[0] + column.counts[-2]
        law = integrity.beyond_range((profile.rows - missing) / dispersion, outside / dispersion)
        cells = np.array([first, last - 1])
        yield IntegrityCheck(place, "out_of_range", cells, law, outside / max(profile.rows, 1))
