"""Values become cells, cells become ranks."""

import numpy as np
import pytest

from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.reference.calibration import Calibration, FeatureCalibration, Order, Timeline
from tests.consumer.builders import NUMERIC_SCHEMA, cell_map, numeric_reference, published


def test_ranks_are_mid_ranks_of_the_reference() -> None:
    """A cell's rank is P(X < x) + P(X = x) / 2 in the reference, and MISSING has none."""
    values = np.random.default_rng(0).normal(size=(2000, 2))
    cells = CellMap(NUMERIC_SCHEMA, numeric_reference(0))
    first = cells.reference.columns[0]
    ranks = cells.ranks[: cells.offsets[1]]
    places = first.cells(values[:, 0])
    for cell in np.unique(places)[::20]:
        inside = places == cell
        expected = (places < cell).mean() + inside.mean() / 2
        assert ranks[cell] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(ranks[-1])
    assert np.nanmean(ranks[places]) == pytest.approx(0.5)


def test_a_column_without_reference_values_has_no_rank() -> None:
    """A feature that was always missing in training feeds no detector, instead of feeding it a
    made-up rank.
    """
    cells = cell_map(published())
    place = cells.schema.names.index("absent")
    assert np.isnan(cells.ranks[cells.offsets[place] : cells.offsets[place + 1]]).all()


def test_excluded_columns_are_not_watched() -> None:
    """What the schema leaves out of drift reaches no detector; the prediction does."""
    features = (
        NUMERIC_SCHEMA.features[0],
        type(NUMERIC_SCHEMA.features[1])("b", "numeric", excluded="a clock"),
    )
    cells = CellMap(type(NUMERIC_SCHEMA)(features), numeric_reference())
    assert cells.watched == [0, 2]


def test_cells_lie_in_their_columns_range() -> None:
    """Each column's cells start at its offset, so that one vector holds all columns."""
    cells = CellMap(NUMERIC_SCHEMA, numeric_reference())
    found = cells.cells(
        [
            Prediction("i", "1.0.0", 0, [-9.0, None], 99.0),
            Prediction("i", "1.0.0", 0, [0.0, 9.0], None),
        ]
    )
    offsets = cells.offsets
    assert found[0, 0] == 0
    assert found[1].tolist() == [offsets[2] - 1, offsets[2] - 2]
    assert found[2].tolist() == [offsets[3] - 2, offsets[3] - 1]


def test_ordered_columns_are_not_watched() -> None:
    """A calibration keeps ordered and uncalibrated columns from detectors of exchangeable rows, the
    clock from all.
    """
    profile = numeric_reference()
    names = [column.name for column in profile.columns]
    timeline = Timeline.of(0, np.zeros((7, 1), dtype=np.int64), (1,), (None,), ("",))
    for order in ("ordered", "uncalibrated", "clock"):
        kinds: tuple[Order, ...] = (order, "exchangeable", "exchangeable")  # type: ignore[assignment]  # of the three
        found = tuple(
            FeatureCalibration(name, kind) for name, kind in zip(names, kinds, strict=True)
        )
        cells = CellMap(NUMERIC_SCHEMA, profile, Calibration(found, timeline))
        assert cells.exchangeable == [1, 2]
        assert cells.watched == ([1, 2] if order == "clock" else [0, 1, 2])
