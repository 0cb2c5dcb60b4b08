"""The rows of a simulation in their order."""

import pytest

from driftgauge.models.drift.injection import InjectionTarget, injection
from driftgauge.models.drift.plan import DRIFT_SHAPES, DriftShape
from driftgauge.models.drift.source import Source
from driftgauge.models.drift.traffic import DriftSchedule, SimulatedRow, batches
from tests.models.drift.builders import SCHEMA, Coins


def rows(
    shape: DriftShape, events: int = 1050, start: int = 420, seed: int = 1
) -> list[SimulatedRow]:
    drift = injection("missing_values", InjectionTarget(SCHEMA, Coins().labelled(500), "x"), 1.0)
    source = Source(Coins(seed), "x", scored=True)
    return [
        row
        for batch in batches(source, SCHEMA, drift, DriftSchedule(events, start, shape), seed)
        for row in batch
    ]


@pytest.mark.parametrize("shape", DRIFT_SHAPES)
def test_the_truth_of_each_row_is_known(shape: DriftShape) -> None:
    """There are as many rows as asked for, none is changed before the start, and the mark says
    which are.
    """
    found = rows(shape)
    assert len(found) == 1050
    assert not any(row.drifted for row in found[:420])
    assert any(row.drifted for row in found[420:])
    if shape != "incremental":  # there a part of the changed rows is changed by little
        assert [row.drifted for row in found] == [row.features["x"] is None for row in found]
    else:
        assert not any(row.features["x"] is None and not row.drifted for row in found)


def test_the_same_seed_gives_the_same_traffic() -> None:
    """A simulation can be repeated."""
    assert rows("gradual") == rows("gradual")
    assert rows("gradual", seed=2) != rows("gradual")
