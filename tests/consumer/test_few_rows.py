"""A model with some rows a week: what cannot be judged is said by name, and a sensor that hangs is
found all the same.
"""

import numpy as np
import pytest
from scipy import signal

from driftgauge.consumer.counting.advance import advance as count
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.consumer.judging.advance import advance as judge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.ordered.days import timeline_of
from driftgauge.consumer.judging.ordered.order import calibrated
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.snapshotting import Outputs
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.consumer.offline.pace import pace
from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.events import Prediction, encode
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.runs import runs_of
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.consumer.builders import NOON, raw

SCHEMA = Schema((Feature("level", "numeric"), Feature("noise", "numeric")), prediction=None)
YEARS = 4
DAY_MS = 86_400_000


def drawn(seed: int, rows: int) -> list[Floats]:
    """A level that hangs together from row to row, and one that does not."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(2, rows))
    level = signal.lfilter([1.0], [1.0, -0.9], noise[0] * np.sqrt(1 - 0.9**2))
    return [np.round(level, 2), noise[1]]


def version_of(per_day: float) -> PublishedVersion:
    rows = int(YEARS * 365 * per_day)
    values = drawn(0, rows)
    profile = build_profile(SCHEMA, [*values], None)
    cells = [column.cells(one) for column, one in zip(profile.columns, values, strict=True)]
    runs = tuple(
        runs_of(column, one, found)
        for column, one, found in zip(profile.columns, values, cells, strict=True)
    )
    times = (np.arange(rows) * (DAY_MS / per_day)).astype(np.int64)
    calibration = calibrated(profile, timeline_of(profile, [*cells], times, runs))
    assert [one.order for one in calibration.features] == ["ordered", "exchangeable"]
    manifest = new_manifest("plant", "1.0.0", "monitor")
    return PublishedVersion(manifest, SCHEMA, profile, calibration=calibration)


def run(version: PublishedVersion, values: list[Floats], per_day: float) -> Outputs:
    """Count and judge rows, row by row, as they would come."""
    policy = CountingPolicy(expected_events_per_day=per_day)
    maps = {"1.0.0": CellMap(version.schema, version.reference, version.calibration)}
    judged = {"1.0.0": JudgedVersion.of(version)}
    counting, judging = CountingState(), JudgingState()
    outputs = Outputs()
    for number, row in enumerate(np.column_stack(values).tolist(), start=1):
        at = NOON + int(number * DAY_MS / per_day)
        event = encode(Prediction(f"id{number}", "1.0.0", at, row, None))
        found = count(counting, columns.read([raw(f"{at}-1", number, event)]), maps, policy)
        told = [(f"{pane}-{place}", entry) for pane, place, entry in found.panes]
        step = judge(judging, told, "plant", judged, JudgingPolicy(expected_events_per_day=per_day))
        outputs.alerts += step.alerts
        outputs.current |= step.current
    return outputs


def feature(snapshot: Snapshot, name: str) -> tuple[str, str]:
    (found,) = [one for one in snapshot.features if one.name == name]
    return found.severity, found.reason


@pytest.mark.parametrize("per_day", [1.3, 3.0])
def test_few_rows_are_not_calm(per_day: float) -> None:
    """With nine rows a week nothing can be compared, and the verdict says so by name; with 21 a
    week the ordered column is judged on coarse bins, and the other one says what it lacks.
    """
    outputs = run(version_of(per_day), drawn(5, int(60 * per_day)), per_day)
    current = outputs.current["1.0.0"]
    noise, reason = feature(current, "noise")
    assert noise == "insufficient_data"
    assert "of 500 window rows" in reason
    if per_day < 2:
        assert feature(current, "level") == (
            "insufficient_data",
            "ordered in time: the reference has 9 rows in 7 days, 10 are needed",
        )
        assert current.verdict.startswith("Too few rows: ordered in time: the reference has 9")
    else:
        assert feature(current, "level") == ("ok", "")
        assert current.verdict.startswith("OK: none of 1 columns drifted in")
        assert "1 not judged (noise): " in current.verdict


@pytest.mark.long
def test_coarse_bins_find_what_matters_and_keep_the_budget() -> None:
    """At 21 rows a week three bins find a level that moved by two standard deviations within three
    weeks, and raise no more than the episode in 30 days that the calibration allows (six seeded
    runs of 120 days; 24 expected at most, 36 or more have a probability below 1 %).
    """
    version = version_of(3.0)
    moved = drawn(6, 3 * 60)
    moved[0][90:] += 2.0
    current = run(version, moved, 3.0).current["1.0.0"]
    assert feature(current, "level")[0] in {"warning", "critical"}
    (told,) = [one for one in current.alerts if one.rule == "psi_week"]
    assert told.started < NOON + (30 + 21) * DAY_MS
    began = 0
    for seed in range(6):
        outputs = run(version, drawn(100 + seed, 3 * 120), 3.0)
        began += sum(
            one.rule == "psi_week" and one.state == "firing" and one.change == "state"
            for one in outputs.alerts
        )
    assert began < 36


def test_a_sensor_that_hangs_is_told_of_and_resolves() -> None:
    """At nine rows a week a level that stays the same is critical within a month, and over some
    weeks after it moves again; it is no drift.
    """
    live = [np.concatenate((one, drawn(3, 400)[place])) for place, one in enumerate(drawn(2, 100))]
    live[0][60:140] = 0.37
    outputs = run(version_of(1.3), live, 1.3)
    told = [one for one in outputs.alerts if one.rule == "stuck"]
    assert [(one.feature, one.state) for one in told] == [
        ("level", "firing"),
        ("level", "resolved"),
    ]
    fired, over = told
    assert fired.severity == "critical"
    assert fired.action == "fix_feed"
    assert "one value 1" in fired.summary
    assert fired.updated < NOON + (60 + 30) * DAY_MS / 1.3
    assert NOON + 140 * DAY_MS / 1.3 < over.updated < NOON + 400 * DAY_MS / 1.3


def test_registration_says_that_a_window_cannot_fill() -> None:
    """From the rate of the reference it follows how long a window takes, and what would work."""
    calibration = version_of(1.3).calibration
    assert calibration is not None
    free, ordered = pace(calibration, window_days=7, min_window_rows=500)
    assert free.startswith("1.3 rows a day: 500 rows take 389 days")
    assert "DRIFTGAUGE_WINDOW_DAYS=389" in free
    assert "DRIFTGAUGE_MIN_WINDOW_ROWS=100" in free
    assert "1 columns are ordered in time and judged on 7 days, which have 9 rows" in ordered
    assert pace(calibration, window_days=400, min_window_rows=500) == [ordered]
    busy = version_of(20.0).calibration
    assert busy is not None
    assert pace(busy, window_days=28, min_window_rows=500) == []
