"""The whole way in one process: 20 runs of the demo's traffic, without Redis, at the default
policies.
"""

import numpy as np
import pytest

from driftgauge.consumer.counting.advance import advance as count
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.consumer.judging.advance import advance as judge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.snapshotting import Outputs
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.models.common.training import Trained
from driftgauge.models.steel.features import engineer
from driftgauge.models.steel.simulate import DRIFTING_FEATURE, SteelPlant
from driftgauge.models.steel.train import SCHEMA, train
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.profile import ReferenceProfile
from tests.consumer.builders import NOON, event

RUNS, EVENTS, INJECTED = 20, 6000, 3000


@pytest.fixture(scope="module")
def model() -> tuple[Trained, ReferenceProfile]:
    trained = train(None, seed=0, rows=20_000)
    return trained, build_profile(SCHEMA, columns_of(trained.holdout, SCHEMA), trained.predictions)


def outputs_of(seed: int, trained: Trained, reference: ReferenceProfile) -> Outputs:
    """Run the demo's traffic with a shift of half a standard deviation from event 3,000 on."""
    frame = engineer(SteelPlant(seed).rows(EVENTS))
    frame.loc[frame.index >= INJECTED, DRIFTING_FEATURE] += 0.5 * float(
        np.std(trained.holdout[DRIFTING_FEATURE])
    )
    predictions = trained.estimator.predict(frame.to_numpy()).tolist()
    rows = [
        [None if np.isnan(value) else value for value in row] for row in frame.to_numpy().tolist()
    ]
    log = [
        event(NOON + 20 * place, place + 1, row, prediction=prediction)
        for place, (row, prediction) in enumerate(zip(rows, predictions, strict=True))
    ]
    versions = {"1.0.0": CellMap(SCHEMA, reference)}
    outputs = count(
        CountingState(), columns.read(log, versions["1.0.0"].decoder), versions, CountingPolicy()
    )
    assert not outputs.dead
    entries = [(f"{number}-{place}", entry) for number, place, entry in outputs.panes]
    return judge(
        JudgingState(),
        entries,
        "steel",
        {"1.0.0": JudgedVersion(SCHEMA, reference)},
        JudgingPolicy(),
    )


@pytest.mark.long
def test_the_demo_finds_its_drift_and_cries_no_wolf(
    model: tuple[Trained, ReferenceProfile],
) -> None:
    """In 20 runs at most one fires before the injection, and every one finds it, and on the feature
    that was shifted.

    The budget of one false alarm in 3 million events gives 60,000 clean events an expectation of
    .02 false alarms: two runs with one would have a probability of 2e-4. A shift of half a standard
    deviation takes ADWIN about 300 events. The fault is one incident, which names the feature and
    says how far it moved.
    """
    early, missed, told = [], [], []
    for seed in range(100, 100 + RUNS):
        outputs = outputs_of(seed, *model)
        firing = [alert for alert in outputs.alerts if alert.state == "firing"]
        if any(alert.evidence.events <= INJECTED for alert in firing):
            early.append(seed)
        if not any(
            alert.evidence.events > INJECTED and alert.feature == DRIFTING_FEATURE
            for alert in firing
        ):
            missed.append(seed)
        last = {one.id: one for one in outputs.incidents if one.opened >= NOON + 20 * INJECTED}
        told += [(one.features, one.headline) for one in last.values()]
    assert len(early) <= 1
    assert missed == []
    assert len(told) == RUNS
    assert all(features == [DRIFTING_FEATURE] for features, _ in told)
    assert all(f"{DRIFTING_FEATURE} reads about 0." in said for _, said in told)
