"""Snapshots get their numbers many at once."""

import numpy as np
import pytest

from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.reports import drafts
from tests.consumer.judging.builders import Stream, judge


def test_how_many_wait_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step's snapshots are the same whether each is finished at once or all at its end, and what
    waits is bounded: only as many counts are held.
    """
    stream = Stream(np.random.default_rng(4))
    for version in ("1.0.0", "2.0.0", "1.0.0"):
        stream.panes(4, rows=611, version=version, seconds=3600).panes(3, rows=37, version=version)
    held: list[int] = []
    finish = drafts.Drafts.finish

    def watched(found: drafts.Drafts) -> None:
        held.append(len(found._waiting))
        finish(found)

    monkeypatch.setattr(drafts.Drafts, "finish", watched)
    policy = JudgingPolicy(window_events=1500)
    whole = judge(stream.entries, policy)
    assert max(held) >= 8
    held.clear()
    monkeypatch.setattr(drafts, "MOST_CELLS", 1)
    assert judge(stream.entries, policy) == whole
    assert max(held) == 1
