"""Columns of many categories within segments: few rows, and each window has others of the tail."""

import numpy as np
import pytest

from driftgauge.consumer.judging.evaluating.budget import Levels
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.segments.window import SegmentWindow
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.versions.manifest import PublishedVersion

SCHEMA = Schema(
    (Feature("region", "categorical"), Feature("merchant", "categorical")), segments=("region",)
)
NAMES = np.array([f"m{place:04d}" for place in range(3000)])
REGIONS = np.array(["north", "south", "east", "west"])
WINDOWS = 60


def rows(random: np.random.Generator, number: int, power: float) -> list[Column]:
    shares = np.arange(1.0, len(NAMES) + 1) ** -power
    return [
        REGIONS[random.integers(0, len(REGIONS), number)].tolist(),
        random.choice(NAMES, number, p=shares / shares.sum()).tolist(),
    ]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_a_long_tail_within_segments_is_calm(power: float) -> None:
    """In 60 windows of four segments, each judged at a level of 1 %, there are no more than 8
    alarms, where at most 2.4 are expected (more have a probability of .1 %).
    """
    random = np.random.default_rng(int(10 * power))
    before = rows(random, 6000, power)
    version = JudgedVersion.of(
        PublishedVersion(
            new_manifest("shop", "1.0.0", "monitor"), SCHEMA, build_profile(SCHEMA, before, None)
        )
    )
    reference = version.segments
    assert reference is not None
    level = Levels(psi=0.01, integrity=0.01, segment_psi=0.01)
    alarms = 0
    for _ in range(WINDOWS):
        found = rows(random, 3000, power)
        counts = reference.layout.counts(version.reference.cells([*found]))
        window = SegmentWindow(reference, counts, level, JudgingPolicy())
        alarms += sum(one.reading.severity is not None for one in window.drift_readings(()))
        assert not any(window.lacking(place) for place in range(len(REGIONS)))
    assert alarms <= 8
