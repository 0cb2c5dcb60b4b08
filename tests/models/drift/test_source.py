"""Where rows come from."""

from pathlib import Path

import numpy as np
import pytest

from driftgauge.models.common.simulation import Simulator
from driftgauge.models.drift.source import ProfileSimulator, source_of
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.profile import PREDICTION
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry
from tests.models.drift.builders import SCHEMA, Coins


def test_rows_of_a_reference_have_its_cells() -> None:
    """Each column's cell counts come back as probabilities: what is drawn is no drift by any
    statistic of the cells.
    """
    frame = Coins().labelled(5000).features.assign(x=lambda rows: rows["x"].mask(rows["y"] > 1.5))
    profile = build_profile(SCHEMA, columns_of(frame, SCHEMA), ["no"] * 4000 + ["yes"] * 1000)
    drawn = ProfileSimulator(profile, 1).labelled(20_000)
    assert list(drawn.features.columns) == [*SCHEMA.names, PREDICTION]
    assert not [label for label in drawn.labels if label is not None]
    for column in profile.columns:
        values = drawn.features[column.name]
        found = column.cells(values.tolist() if column.kind == "categorical" else values.to_numpy())
        expected = np.array(column.counts) / profile.rows * 20_000
        counts = np.bincount(found, minlength=len(expected))
        assert not counts[expected == 0].any()
        spread = np.sqrt(expected[expected > 0])
        assert (np.abs(counts[expected > 0] - expected[expected > 0]) < 6 * spread + 1).all()


def test_a_demo_model_is_known_by_its_feature_engineering(tmp_path: Path) -> None:
    """Whatever the version is called, its simulator is found."""
    from driftgauge.models.steel.train import SCHEMA as STEEL

    found = source_of(
        "other-name", "1.0.0", "driftgauge.models.steel.features", STEEL, ModelRegistry(tmp_path), 1
    )
    simulator: Simulator = found.simulator
    assert found.scored
    assert list(simulator.labelled(2).features.columns) == list(STEEL.names)


def test_a_model_without_simulator_and_reference_is_refused(tmp_path: Path) -> None:
    """The message says where the reference was looked for; hashes cannot be drawn, since they would
    be hashed again.
    """
    with pytest.raises(BadData, match="its reference is not in"):
        source_of("plain", "1.0.0", "", SCHEMA, ModelRegistry(tmp_path), 1)
    hashed = Schema((Feature("x", "numeric"), Feature("customer", "categorical", pii="hash")))
    with pytest.raises(BadData, match="hashes features"):
        source_of("plain", "1.0.0", "", hashed, ModelRegistry(tmp_path), 1)
