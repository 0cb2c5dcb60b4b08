"""Exactly once on a Redis Cluster under real faults; and the proof that this test can fail."""

import os
from pathlib import Path

import pytest

from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.faults.fault import On
from benchmarks.chaos.stores.cluster import unusable
from benchmarks.chaos.trial import run
from tests.chaos.test_chaos import WEAKENED

REASON = unusable()
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        bool(REASON) and "CI" not in os.environ, reason=f"NO CLUSTER TEST: {REASON}"
    ),
]
SECONDS = 9.0
SEED = 3
SLOW = {"hanging_model", "slow_loris"}
"""Faults of the API alone, which are the same on every Redis."""


def test_random_instants_on_a_cluster(folder: Path) -> None:
    """Masters that are killed, lag, stand still or are replaced, and slots that are moved, lose and
    double nothing, while workers, APIs, applications and connections come to an end as well.
    """
    faults = [one for one in FAULTS.values() if On.CLUSTER in one.on and one.name not in SLOW]
    trial = run(
        folder,
        faults,
        On.CLUSTER,
        seconds=SECONDS,
        seed=SEED,
        rate=100,
        gap_s=0.9,
        shift=lambda passed: float(passed > SECONDS / 3),
    )
    assert trial.verdict.broken == []
    assert trial.faults.keys() == {one.name for one in faults}
    assert trial.verdict.in_log >= trial.verdict.promised > 500
    assert trial.verdict.copies > 0
    assert trial.verdict.forgotten == 0


def test_a_replica_that_lagged_is_found_out_without_the_ring(folder: Path) -> None:
    """What a new master of a cluster lacks is lost if nothing is sent again: the verdict is red."""
    trial = run(
        folder,
        [FAULTS["master_lost"]],
        On.CLUSTER,
        seconds=5,
        seed=SEED,
        rate=150,
        gap_s=5,
        shift=lambda _: 0.0,
        api_command=(*WEAKENED, "without_ring", "serve"),
    )
    assert any("promised events are not in the log" in one for one in trial.verdict.broken)
