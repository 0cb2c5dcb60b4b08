"""Entries that a worker fails on, in a real Redis: exactly-once holds around them, and people are
told.
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.consumer.counting import advance as counting
from driftgauge.consumer.counting.entries.columns import Batch
from driftgauge.consumer.judging import advance as judging
from driftgauge.consumer.stages import counting as counting_stage
from driftgauge.consumer.stages import judging as judging_stage
from driftgauge.consumer.stages.stage import Stage
from driftgauge.shared.contract.fault import TRIES, StageFault
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import Pane, PaneEntry
from tests.consumer.builders import cell_map, count
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    arrived,
    counters,
    events,
    judged_all,
    publish,
    settings_of,
    wait_for,
    worker_thread,
)

EVENTS = 3000
BAD = (700, 701, 2400)
"""Numbers of the events that counting fails on."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "retry_s", (0.001, 0.001))


def fault_of(client: redis.Redis, key: str) -> StageFault | None:
    packed: Any = client.hget(key, "fault")
    return msgspec.json.decode(packed, type=StageFault) if packed else None


@pytest.fixture
def _counting_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let counting fail on some events, after it has changed its state."""

    def advance(state: Any, batch: Batch, *rest: Any) -> Any:
        outputs = counting.advance(state, batch, *rest)
        if any(prediction.id in map(str, BAD) for prediction in batch.predictions):
            raise OverflowError("Python integer 128 out of bounds for int8")
        return outputs

    monkeypatch.setattr(counting_stage, "advance", advance)


@pytest.mark.usefixtures("_counting_fails")
def test_what_counting_fails_on_is_a_dead_letter(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """Three bad events of 3,000, two of them neighbours, go to the dead letters with the reason,
    though the worker is replaced again and again; all others are counted once, as if the bad ones
    had never been there.
    """
    publish(client, keys)
    sent = events(3, EVENTS, int(time.time() * 1000) - EVENTS * 20)
    append(client, keys.log(MODEL, 0), sent)
    settings = settings_of(redis_url, keys)
    with worker_thread(settings):
        wait_for(lambda: fault_of(client, keys.count(MODEL, 0)), "the fault")
    with worker_thread(settings), worker_thread(settings):
        wait_for(lambda: arrived(client, keys) == EVENTS, "the rest")
        wait_for(lambda: judged_all(client, keys), "judging")

        def over() -> bool:
            known = fault_of(client, keys.count(MODEL, 0))
            return known is not None and known.over

        wait_for(over, "the end of the fault, which the next commit writes")
    found = counters(client, keys)
    assert (found.events, found.dead, found.missing) == (EVENTS - len(BAD), len(BAD), 0)
    dead: Any = client.xrange(keys.dead(MODEL, 0))
    assert [fields[b"s"] for _, fields in dead] == [b"%d" % number for number in BAD]
    assert {fields[b"reason"] for _, fields in dead} == {
        b"counting fails on it: OverflowError: Python integer 128 out of bounds for int8"
    }
    assert [fields[b"entry_id"] for _, fields in dead] == [sent[number - 1][0] for number in BAD]
    fault = fault_of(client, keys.count(MODEL, 0))
    assert fault is not None
    assert fault.set_aside

    versions = {"1.0.0": cell_map(PUBLISHED)}
    good = [one for number, one in enumerate(sent, start=1) if number not in BAD]
    settings_policy = counting_stage.CountingPolicy(expected_events_per_day=5000)
    alone = count(good, versions, settings_policy)
    panes: Any = client.xrange(keys.panes(MODEL, 0))
    written = [
        entry
        for _, fields in panes
        if isinstance(entry := msgspec.msgpack.decode(fields[b"b"], type=PaneEntry), Pane)
    ]
    for ours, theirs in zip(alone.closed, written, strict=False):
        assert ours.blocks["1.0.0"].cells == theirs.blocks["1.0.0"].cells
    assert len(written) >= len(alone.closed) > 5


def test_a_fault_of_the_code_loses_no_log(
    client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If every event fails, ten at most are set aside; when it is mended the rest is counted, and
    the fault is over.
    """

    def fails(*_: Any) -> Any:
        raise TypeError("every event fails")

    publish(client, keys)
    monkeypatch.setattr(counting_stage, "advance", _but_dead(fails))
    append(client, keys.log(MODEL, 0), events(4, 60, int(time.time() * 1000) - 2000))
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: counters(client, keys).dead == 10, "ten dead letters")

        def tried_on() -> bool:
            fault = fault_of(client, keys.count(MODEL, 0))
            return fault is not None and fault.tries > 20 * TRIES

        wait_for(tried_on, "further attempts")
        assert counters(client, keys).dead == 10
        monkeypatch.setattr(counting_stage, "advance", counting.advance)
        wait_for(lambda: arrived(client, keys) == 60, "the rest")
        assert counters(client, keys).events == 50
        wait_for(
            lambda: (fault := fault_of(client, keys.count(MODEL, 0))) and fault.over, "the end"
        )


def _but_dead(fails: Any) -> Any:
    """Let a step fail unless it has dead letters alone."""

    def advance(state: Any, batch: Batch, *rest: Any) -> Any:
        return fails() if batch.predictions else counting.advance(state, batch, *rest)

    return advance


def test_a_pane_that_cannot_be_judged_is_a_dead_letter(
    client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judging fails on the third pane: it goes to the model's dead letters with the reason, and the
    later ones are judged.
    """

    def advance(state: Any, entries: Sequence[tuple[str, PaneEntry]], *rest: Any) -> Any:
        if any(isinstance(entry, Pane) and entry.number == 3 for _, entry in entries):
            raise ZeroDivisionError("division by zero")
        return judging.advance(state, entries, *rest)

    publish(client, keys)
    monkeypatch.setattr(judging_stage, "advance", advance)
    append(client, keys.log(MODEL, 0), events(5, EVENTS, int(time.time() * 1000) - EVENTS * 20))
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: arrived(client, keys) == EVENTS, "counting")
        wait_for(lambda: judged_all(client, keys), "judging")
        wait_for(lambda: client.hlen(keys.current(MODEL)), "a window")
    dead: Any = client.xrange(keys.judge_dead(MODEL))
    assert [(fields[b"entry_id"], fields[b"reason"]) for _, fields in dead] == [
        (b"3-0", b"judging fails on it: ZeroDivisionError: division by zero")
    ]
    fault = fault_of(client, keys.judge(MODEL))
    assert fault is not None
    assert (fault.stage, fault.set_aside) == (f"judging {MODEL}", 1)
    state: Any = client.hget(keys.judge(MODEL), "state")
    assert msgspec.json.decode(state)["dead"] == 1
