"""Runs the product with one of its guards taken out: the proof that the chaos tests can fail.

python -m tests.chaos.weakened GUARD driftgauge's arguments…
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np


def without_fence() -> None:
    """A commit checks neither token nor commit number, and watches nothing."""
    from driftgauge.consumer.stages.checkpoint import Checkpoint

    replace(Checkpoint, "_watch", lambda *_: None)


def without_intervals() -> None:
    """A sequence number that was seen before counts as new."""
    from driftgauge.consumer.counting.entries.sequences import Intervals

    claim = Intervals.claim

    def claim_all(self: Intervals, numbers: Any) -> Any:
        claim(self, numbers)
        return np.ones(len(numbers), dtype=bool)

    replace(Intervals, "claim", claim_all)


def without_ring() -> None:
    """Nothing that was acknowledged is sent again."""
    from driftgauge.producer.publishing.ring import Ring

    replace(Ring, "take", lambda *_: [])


def without_telling() -> None:
    """Nothing is said of what is lost."""
    from driftgauge.producer.watching import blind
    from driftgauge.producer.watching.observation import Assessment

    silent = dict.fromkeys(("lost", "rolled_back"), lambda *_: Assessment(bad=False))
    assert silent.keys() <= blind.RULES.keys()
    vars(blind)["RULES"] = {**blind.RULES, **silent}


GUARDS = {
    guard.__name__: guard
    for guard in (without_fence, without_intervals, without_ring, without_telling)
}


def replace(owner: type, name: str, by: Callable[..., Any]) -> None:
    """Refuse to weaken what is not there: the proof would be worth nothing."""
    assert callable(vars(owner)[name])
    setattr(owner, name, by)


if __name__ == "__main__":
    GUARDS[sys.argv.pop(1)]()
    from driftgauge.__main__ import main

    main()
