"""Sources of simulated rows: a demo model's simulator, or another model's reference profile.

Rows that are drawn from a profile have the reference's marginal distributions and nothing more:
each feature is drawn independently of the others. The prediction is drawn, too, and published as
made elsewhere, because a model's answers to such rows would not look like its answers to real ones.
They have no true values.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from driftgauge.models.common.simulation import Labelled, Simulator
from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    Column,
    NumericReference,
    ReferenceProfile,
)
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry

MODULE = "driftgauge.models."


@dataclass(frozen=True)
class Source:
    """The source of a simulation's rows.

    Parameters
    ----------
    simulator
        Draws the rows.
    preferred
        The feature that drifts if the kind of drift suits it.
    scored
        True if the API is to predict the rows. If not, the rows have a column `prediction`.
    """

    simulator: Simulator
    preferred: str
    scored: bool


def source_of(
    model: str, version: str, engineering: str, schema: Schema, registry: ModelRegistry, seed: int
) -> Source:
    """Find where rows for a served model come from.

    Parameters
    ----------
    engineering
        Module of the version's feature engineering. A demo model is recognised by it, whatever name
        it was registered under.
    seed
        Seed of the simulator.

    Raises
    ------
    BadData
        If there is neither a simulator nor a reference that rows can be drawn from.
    """
    from driftgauge.models.catalogue import MODELS

    demo = (
        MODELS.get(engineering.removeprefix(MODULE).partition(".")[0])
        if engineering.startswith(MODULE)
        else None
    )
    if demo is not None:
        return Source(demo.simulator(seed), demo.drifting_feature, scored=True)
    if any(feature.pii == "hash" for feature in schema.features):
        raise BadData(
            f"{model} hashes features: the reference knows hashes only, and rows cannot be drawn "
            f"from it."
        )
    try:
        reference = registry.load(model, version).reference
    except ModelNotFound as error:
        raise BadData(
            f"{model} has no simulator, and its reference is not in "
            f"{registry.storage.where()}. Run this where the registry is, or "
            "set DRIFTGAUGE_REGISTRY_DIR."
        ) from error
    watched = [feature.name for feature in schema.stream.features if not feature.excluded]
    return Source(ProfileSimulator(reference, seed), watched[0] if watched else "", scored=False)


class ProfileSimulator:
    """A simulator that draws rows from the cells of a reference profile, each column by itself.

    Examples
    --------
    >>> profile = ReferenceProfile(3, (CategoricalReference.build("c", ["a", "b", "a"]),))
    >>> sorted(set(ProfileSimulator(profile, 1).labelled(50).features["c"]))
    ['a', 'b']
    """

    def __init__(self, reference: ReferenceProfile, seed: int) -> None:
        self._reference = reference
        self._random = np.random.default_rng(seed)

    def labelled(self, n: int) -> Labelled:
        """Draw n rows; their true values are None."""
        columns = {column.name: self._draw(column, n) for column in self._reference.columns}
        return Labelled(pd.DataFrame(columns), np.full(n, None, dtype=object))

    def _draw(self, column: NumericReference | CategoricalReference, n: int) -> Column:
        counts = np.array(column.counts, dtype=np.float64)
        cells = self._random.choice(len(counts), size=n, p=counts / counts.sum())
        if isinstance(column, NumericReference):
            return self._numbers(column, cells)
        names = [*column.categories]
        others = column.other or [""]
        rest = self._random.integers(len(others), size=n).tolist()
        return [
            names[cell]
            if cell < len(names)
            else (None if cell == column.missing else others[rest[place]])
            for place, cell in enumerate(cells.tolist())
        ]

    def _numbers(
        self, column: NumericReference, cells: "np.ndarray[tuple[int], np.dtype[np.int64]]"
    ) -> Column:
        """Draw a number from each cell: the cut itself, or a number between two cuts."""
        if not column.cuts:
            return np.full(len(cells), np.nan)
        cuts = np.array(column.cuts)
        last = len(cuts) - 1
        low = cuts[np.clip(cells // 2 - (cells % 2 == 0), 0, last)]
        high = cuts[np.clip(cells // 2, 0, last)]
        values = np.where(
            cells % 2 == 1, high, low + (high - low) * self._random.uniform(1e-9, 1, len(cells))
        )
        return np.where(cells == column.missing, np.nan, values)
