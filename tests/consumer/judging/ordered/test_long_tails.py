"""A column of many categories that is ordered in time: calm while it is as it was, and what becomes
of its tail is shown.
"""

import numpy as np

from driftgauge.consumer.judging.advance import advance
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.ordered.days import timeline_of
from driftgauge.consumer.judging.ordered.order import calibrated
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.snapshotting import Outputs
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.rules.drift import PSI_WEEK
from tests.consumer.judging.weeks import FIRST_DAY, PER_DAY, cells_of, panes, times

SCHEMA = Schema((Feature("merchant", "categorical"),))
NAMES = np.array([f"m{place:04d}" for place in range(600)])
REFERENCE_DAYS = 112


def rows(random: np.random.Generator, days: int, every: int = 1) -> list[str]:
    """Draw merchants, all as frequent as each other but for a favourite of each week among the
    first; of the others only each second is there, if `every` is 2.
    """
    shares = np.ones(len(NAMES))
    shares[60:][np.arange(len(NAMES) - 60) % every > 0] = 0
    drawn = random.choice(NAMES, days * PER_DAY, p=shares / shares.sum())
    favourite = np.repeat(NAMES[random.integers(0, 8, -(-days // 7))], 7 * PER_DAY)
    return np.where(random.random(len(drawn)) < 0.2, favourite[: len(drawn)], drawn).tolist()


def judged(seed: int, days: int, every: int = 1) -> Outputs:
    """Judge a stream against sixteen weeks of reference."""
    random = np.random.default_rng(seed)
    before = rows(random, REFERENCE_DAYS)
    profile = build_profile(SCHEMA, [before], None)
    timeline = timeline_of(profile, [*cells_of(profile, [before])], times(REFERENCE_DAYS))
    version = JudgedVersion(SCHEMA, profile, calibrated(profile, timeline))
    assert version.ordered == [0]
    entries = panes(version, [rows(random, days, every)], FIRST_DAY + REFERENCE_DAYS)
    policy = JudgingPolicy(expected_events_per_day=PER_DAY)
    return advance(JudgingState(), entries, "shop", {"1.0.0": version}, policy)


def test_a_long_tail_is_calm() -> None:
    """Eight weeks of the same law, of which each lacks known names, raise an alert or two at most:
    the calibration allows an episode in 30 days.
    """
    fired = [one for one in judged(1, 56).alerts if one.state == "firing"]
    assert len(fired) <= 2
    assert {one.rule for one in fired} <= {PSI_WEEK.name}


def test_a_tail_that_vanishes_is_shown() -> None:
    """Half of the rare names disappear: the column's report states the PSI among the rare ones, far
    above that of calm weeks, and says that it is not judged.
    """
    gone, calm = (judged(2, 21, every).current["1.0.0"].features[0] for every in (2, 1))
    statistics = [one for found in (gone, calm) for one in found.statistics]
    notes = [one.note for one in statistics if one.name == "psi"]
    assert all(note.endswith("in the window, not judged") for note in notes)
    values = [float(note.split("categories: ")[1].split()[0]) for note in notes]
    assert values[0] > 0.2 > 2 * values[1]
