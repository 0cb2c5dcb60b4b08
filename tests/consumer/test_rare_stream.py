"""A column of thousands of categories, from the log to the alert."""

import numpy as np

from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.judging.advance import advance
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.pane import Pane
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from tests.consumer.builders import NOON, count, event

CATEGORIES, CALM, EVENTS = 5000, 8000, 16_000


def alerts_of(shares: np.ndarray, later: np.ndarray) -> tuple[list[Alert], int]:
    """Count and judge a stream whose categories have other shares from the middle on; return the
    alerts that fired, and how many cells a row of the panes has.
    """
    random = np.random.default_rng(7)
    schema = Schema((Feature("merchant", "categorical"),), prediction="numeric")
    names = np.array([f"m{place}" for place in range(CATEGORIES)])
    before = random.choice(names, 60_000, p=shares / shares.sum()).tolist()
    profile = build_profile(schema, [before], random.normal(size=60_000))
    version = PublishedVersion(new_manifest("shop", "1.0.0", task="regression"), schema, profile)
    drawn = [
        name
        for law in (shares, later)
        for name in random.choice(names, CALM, p=law / law.sum()).tolist()
    ]
    log = [
        event(NOON + 20 * place, place + 1, [name], prediction=float(random.normal()))
        for place, name in enumerate(drawn)
    ]
    maps = {"1.0.0": CellMap(version.schema, version.reference)}
    found = count(log, maps, CountingPolicy(), [5000, 9001])
    panes = [(f"{number}-{suffix}", entry) for number, suffix, entry in found.panes]
    judged = {"1.0.0": JudgedVersion.of(version)}
    outputs = advance(JudgingState(), panes, "shop", judged, JudgingPolicy())
    assert sum(entry.events for _, entry in panes if isinstance(entry, Pane)) > EVENTS - 250
    return [one for one in outputs.alerts if one.state == "firing"], maps["1.0.0"].size


def test_rare_categories_that_vanish_from_a_stream_are_told_and_nothing_else() -> None:
    """Half of 5,000 equally frequent categories vanish: the PSI rule fires within two windows of
    the default size, with a reason that names the rare ones; before that nothing did, though every
    window has its luck. The column has no more than some thousand cells.
    """
    shares, later = np.ones(CATEGORIES), np.ones(CATEGORIES)
    later[np.random.default_rng(8).permutation(CATEGORIES)[: CATEGORIES // 2]] = 0
    fired, cells = alerts_of(shares, later)
    assert {alert.rule for alert in fired} == {"psi"}
    assert all(alert.feature == "merchant" for alert in fired)
    assert all("PSI among rare categories" in alert.summary for alert in fired)
    assert all(CALM < alert.evidence.events <= CALM + 4000 for alert in fired)
    assert cells < 1700


def test_a_stream_with_a_long_tail_is_calm() -> None:
    """Zipf's categories, of which every window has some hundred new ones, raise nothing."""
    shares = 1 / np.arange(1.0, CATEGORIES + 1)
    assert alerts_of(shares, shares)[0] == []
