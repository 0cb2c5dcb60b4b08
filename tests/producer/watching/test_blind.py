from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from driftgauge.producer.reading.model_state import Backlog, ModelState, PartitionState
from driftgauge.producer.watching.blind import (
    DAY_MS,
    DROPPED_HOLD_MS,
    HANGING_HOLD_MS,
    judge,
)
from driftgauge.producer.watching.observation import (
    HOUR_MS,
    Dropped,
    Hanging,
    Memory,
    Observation,
)
from driftgauge.shared.contract.counters import Counters, ExchangeCounts, LabelCounts
from driftgauge.shared.contract.fault import StageFault
from driftgauge.shared.settings import Settings

START = 1_800_000_000_000
MINUTE_MS = 60_000


def partition(
    number: int = 0, *, waits_since: int | None = None, owned: bool = True, **more: Any
) -> PartitionState:
    offset, panes_behind = more.pop("offset", "1-0"), more.pop("panes_behind", 0)
    fault = more.pop("fault", None)
    backlog = (
        Backlog()
        if waits_since is None
        else Backlog(1, exact=True, seconds=0, oldest_ms=waits_since)
    )
    return PartitionState(
        number, Counters(**more), {}, owned, offset, backlog, 0, "0-0", panes_behind, fault=fault
    )


class Watch:
    """A watchdog's looks at a model, at times that the test chooses."""

    def __init__(self, **settings: Any) -> None:
        self.memory = Memory()
        self.settings = Settings(**settings)
        self.now = START

    def look(
        self,
        *partitions: PartitionState,
        after: int = 0,
        dropped: Dropped | None = None,
        hanging: Hanging | None = None,
        judging: bool = True,
        followers: Mapping[str, StageFault] | None = None,
        evicts: str = "",
    ) -> list[str]:
        self.now += after
        state = ModelState(
            "m", self.now, partitions, judging, {}, follower_faults=dict(followers or {})
        )
        observed = Observation(
            state,
            [dropped] if dropped else [],
            self.settings,
            [hanging] if hanging else [],
            evicts=evicts,
        )
        alerts = judge(self.memory, observed)
        self.memory = msgspec.json.decode(
            msgspec.json.encode(self.memory), type=Memory
        )  # as it lies in Redis
        return [f"{alert.rule} {alert.state}" for alert in alerts]


def test_a_redis_that_may_evict() -> None:
    """A policy that was changed at run time is told of at once, and so is its end."""
    watch = Watch()
    assert watch.look(partition()) == []
    assert watch.look(partition(), evicts="volatile-lru") == ["blind.evicts firing"]
    assert watch.look(partition(), evicts="allkeys-lru") == []
    assert watch.look(partition()) == ["blind.evicts resolved"]


def test_nobody_owns_what_waits() -> None:
    """It fires after the time allowed, is not called a lag too, and resolves when an owner has
    moved on, not before.
    """
    watch = Watch()
    orphan = partition(waits_since=START, owned=False)
    assert watch.look(orphan) == watch.look(orphan, after=14_000) == []
    assert watch.look(orphan, after=1000) == ["blind.no_worker firing"]
    assert watch.look(orphan, after=HOUR_MS) == []
    owned = replace(
        orphan, owned=True, backlog=Backlog(1, exact=True, seconds=0, oldest_ms=watch.now)
    )
    assert watch.look(owned) == []
    assert watch.look(replace(owned, offset="2-0")) == ["blind.no_worker resolved"]


def test_a_model_that_hangs_is_told_until_a_while_after() -> None:
    """What a process tells of a hanging call fires at once, is said once, and resolves when nobody
    has told of it for a while: the process may have ended.
    """
    watch = Watch()
    told = Hanging("2.0.0", 31.0, START)
    assert watch.look(partition(), hanging=told) == ["blind.model_hangs firing"]
    assert "2.0.0 does not answer" in watch.memory.told["model_hangs"]
    assert watch.look(partition(), hanging=told, after=HANGING_HOLD_MS - 1) == []
    assert watch.look(partition(), hanging=told, after=1) == ["blind.model_hangs resolved"]
    assert not watch.memory.told


def test_a_worker_that_fails_is_told_of_and_not_missed() -> None:
    """Work that failed three times is told with its entry and reason; no missing worker and no lag
    is blamed for it, however long it takes; it is over when the worker goes on.
    """
    watch = Watch(blind_lag_seconds=1)
    fails = StageFault("counting m.0", "KeyError: 7", "5-0", 2, START, START)
    at_work = partition(waits_since=START, owned=False)
    assert watch.look(replace(at_work, fault=fails)) == []
    for tries in range(3, 40):
        told = msgspec.structs.replace(fails, tries=tries, at=watch.now)
        stuck = replace(at_work, owned=bool(tries % 2), fault=told)
        alerts = watch.look(stuck, after=10_000)
        assert alerts == (["blind.stage_fails firing"] if tries == 3 else [])
    assert "counting m.0 at entry 5-0, 39 times: KeyError: 7" in watch.memory.failing
    over = msgspec.structs.replace(told, over=True)
    assert watch.look(partition(fault=over)) == ["blind.stage_fails resolved"]
    assert not watch.memory.failing


def test_a_follower_that_fails_is_named() -> None:
    """Reports that cannot be written are told of, by the name of what fails; it is over when the
    follower goes on, and when nobody tries any more: it may be switched off.
    """
    fails = StageFault("reporting m", "OSError: no space left", "", 9, START, START)
    for end in ({"reports": msgspec.structs.replace(fails, over=True)}, {"reports": fails}):
        watch = Watch()
        assert watch.look(partition(), followers={"reports": fails}) == ["blind.stage_fails firing"]
        assert "reporting m, 9 times: OSError: no space left" in watch.memory.failing
        assert watch.look(partition(), followers=end, after=3 * MINUTE_MS) == [
            "blind.stage_fails resolved"
        ]


def test_an_entry_that_was_set_aside_is_told_for_ten_minutes() -> None:
    """The worker went on before anybody looked, but an entry is not counted."""
    watch = Watch()
    fault = StageFault("judging m", "KeyError: 7", "0 5-0", 6, START, START, 1, over=True)
    assert watch.look(partition(fault=fault), after=5000) == ["blind.stage_fails firing"]
    assert "Went to the dead letters, and not counted: 1." in watch.memory.failing
    assert watch.look(partition(fault=fault), after=9 * MINUTE_MS) == []
    assert watch.look(partition(fault=fault), after=MINUTE_MS) == ["blind.stage_fails resolved"]


def test_a_worker_that_died_of_its_fault_is_missed() -> None:
    """Two minutes after the last attempt nobody even tries: then there is no worker."""
    watch = Watch()
    fails = StageFault("counting m.0", "KeyError: 7", "5-0", 9, START, START)
    stuck = partition(waits_since=START, owned=False, fault=fails)
    assert watch.look(stuck) == ["blind.stage_fails firing"]
    assert watch.look(stuck, after=3 * MINUTE_MS) == ["blind.no_worker firing"]


def test_a_hand_over_is_no_alert() -> None:
    """A partition that changes hands within the time allowed is fine, however often; so is one that
    has nothing to do.
    """
    watch = Watch()
    for number in range(20):
        assert (
            watch.look(
                partition(waits_since=watch.now, owned=False, offset=f"{number}-0"), after=5000
            )
            == []
        )
        assert watch.look(partition(waits_since=watch.now, offset=f"{number}-1"), after=5000) == []
    assert (
        watch.look(partition(owned=False), after=DAY_MS)
        == watch.look(partition(owned=False), after=DAY_MS)
        == []
    )


def test_judging_without_an_owner() -> None:
    """Panes that nobody judges are work without a worker too."""
    watch = Watch()
    behind = partition(panes_behind=3)
    assert watch.look(behind, judging=False) == []
    assert watch.look(behind, judging=False, after=20_000) == ["blind.no_worker firing"]


def test_a_worker_that_does_not_keep_up() -> None:
    """A lag must be seen twice running, and resolves well below its limit: neither a jump nor the
    edge makes it flap.
    """
    watch = Watch()
    assert watch.look(partition(waits_since=START - 61_000, offset="1-0")) == []
    assert watch.look(partition(waits_since=START - 1000, offset="2-0")) == []
    assert watch.look(partition(waits_since=START - 61_000, offset="3-0")) == []
    assert watch.look(partition(waits_since=START - 61_000, offset="4-0")) == ["blind.lag firing"]
    assert watch.look(partition(waits_since=START - 50_000, offset="5-0")) == []
    assert watch.look(partition(waits_since=START - 20_000, offset="6-0")) == ["blind.lag resolved"]


def test_a_stalled_owner_is_found_though_the_clock_went_back() -> None:
    """After Redis's clock went back the entries look young; that the offset stands still says it
    all the same.
    """
    watch = Watch()
    stuck = partition(waits_since=START)
    assert watch.look(stuck, after=-HOUR_MS) == []
    assert watch.look(stuck, after=61_000) == []
    assert watch.look(stuck, after=5000) == ["blind.lag firing"]


def test_a_dropped_event_fires_at_once() -> None:
    """One dropped event is an alert at the next look, until none was dropped for a while."""
    watch = Watch()
    dropped = Dropped({"queue full": 3}, START)
    assert watch.look(partition(), dropped=dropped) == ["blind.dropped firing"]
    assert watch.look(partition(), dropped=dropped, after=DROPPED_HOLD_MS - 1) == []
    assert watch.look(partition(), dropped=dropped, after=1) == ["blind.dropped resolved"]


def test_dead_letters_by_their_rate() -> None:
    """Old dead letters are no news; more than the limit within an hour are; an hour of calm
    resolves it.
    """
    watch = Watch(dead_letters_per_hour=10)
    assert watch.look(partition(dead=1000)) == []
    assert watch.look(partition(dead=1010), after=MINUTE_MS) == []
    assert watch.look(partition(dead=1011), after=MINUTE_MS) == ["blind.dead_letters firing"]
    assert watch.look(partition(dead=1011), after=50 * MINUTE_MS) == []
    assert watch.look(partition(dead=1011), after=30 * MINUTE_MS) == ["blind.dead_letters resolved"]


def test_labels_and_predictions_without_room_to_wait() -> None:
    """One of either is a warning, and old news after an hour."""
    watch = Watch()
    assert watch.look(partition(labels=LabelCounts(full=5, refused=5))) == []
    assert watch.look(partition(labels=LabelCounts(full=5, refused=6)), after=MINUTE_MS) == [
        "blind.labels_full firing"
    ]
    later = partition(labels=LabelCounts(full=5, refused=6))
    assert watch.look(later, after=70 * MINUTE_MS) == ["blind.labels_full resolved"]
    assert watch.look(partition(labels=LabelCounts(full=6, refused=6)), after=1) == [
        "blind.labels_full firing"
    ]


def test_labels_that_stopped() -> None:
    """Predictions that wait for the whole wait without a label are a warning, if it had labels; a
    label resolves it.
    """
    watch = Watch(label_wait_hours=2)
    never, some = (
        partition(labels=LabelCounts(waiting=9)),
        partition(labels=LabelCounts(joined=1, waiting=9)),
    )
    assert watch.look(never) == watch.look(never, after=3 * HOUR_MS) == []
    assert watch.look(some) == watch.look(some, after=2 * HOUR_MS) == []
    assert watch.look(some, after=1) == ["blind.labels_stopped firing"]
    assert watch.look(partition(labels=LabelCounts(joined=2, waiting=9))) == [
        "blind.labels_stopped resolved"
    ]
    idle = partition(labels=LabelCounts(joined=2))
    assert watch.look(idle) == watch.look(idle, after=3 * HOUR_MS) == []


def test_silence_by_a_setting() -> None:
    """With a limit set, a model that had events and has none for longer is silent, one that never
    had any is not.
    """
    watch = Watch(silent_after_seconds=60)
    assert watch.look(partition()) == watch.look(partition(), after=HOUR_MS) == []
    assert watch.look(partition(events=1)) == watch.look(partition(events=1), after=60_000) == []
    assert watch.look(partition(events=1), after=1000) == ["blind.silent firing"]
    assert watch.look(partition(events=2)) == ["blind.silent resolved"]


@pytest.mark.parametrize(("per_hour", "fires"), [(60, True), (2, False)])
def test_silence_is_learned_from_a_whole_day(per_hour: int, fires: bool) -> None:  # noqa: FBT001
    """Learned: nothing in the first day; then ten times the mean gap and twice the largest; never
    for a rarely used one.
    """
    watch = Watch()
    gap = HOUR_MS // per_hour
    assert watch.look(partition()) == []
    assert watch.look(partition(events=1), after=gap) == []
    events = 1
    for _ in range(25 * per_hour):
        events += 1
        assert watch.look(partition(events=events), after=gap) == []
    found = [watch.look(partition(events=events), after=MINUTE_MS) for _ in range(24 * 60)]
    assert any(found) is fires
    if fires:
        assert found[:10] == [[]] * 10
        assert watch.look(partition(events=events + 1)) == ["blind.silent resolved"]


def test_events_that_wait_are_no_silence() -> None:
    """While nobody counts, nobody knows whether events come: a silence is neither found nor
    ended.
    """
    watch = Watch(silent_after_seconds=60, blind_worker_seconds=1e9)
    watch.look(partition(events=1))
    orphan = partition(events=1, owned=False, waits_since=START)
    assert watch.look(orphan, after=HOUR_MS) == watch.look(orphan, after=HOUR_MS) == []
    assert watch.look(partition(events=1), after=61_000) == ["blind.silent firing"]
    assert watch.look(orphan, after=HOUR_MS) == []


def test_a_quiet_night_does_not_excuse_a_silent_noon() -> None:
    """Traffic from 6 to 22 o'clock: the night is usual, though it is long; half an hour without an
    event at noon is not, and the alert stays through the night until an event comes.
    """
    watch = Watch()
    watch.now = START // DAY_MS * DAY_MS
    begin, events = watch.now, 0

    def until(hours: float, step: int = MINUTE_MS, *, busy: bool = True) -> list[str]:
        nonlocal events
        told = []
        while watch.now < begin + hours * HOUR_MS:
            if busy and 6 * HOUR_MS <= (watch.now + step) % DAY_MS < 22 * HOUR_MS:
                events += 1
            told += watch.look(partition(events=events), after=step)
        return told

    assert until(5 * 24 + 12) == [], "five days of its usual life"
    assert until(5 * 24 + 12.5, busy=False) == ["blind.silent firing"]
    assert until(6 * 24 + 3, busy=False) == [], "no event came: neither resolved nor told again"
    assert until(6 * 24 + 8) == ["blind.silent resolved"]


def test_halves_that_stay_alone_are_told() -> None:
    """More than 10 an hour, and more than 1 % of those that met, is a warning that says which half
    is absent; it ends an hour after the last of them.
    """
    watch = Watch()

    def seen(paired: int, unanswered: int, unasked: int = 0) -> PartitionState:
        counts = ExchangeCounts(paired=paired, unanswered=unanswered, unasked=unasked)
        return partition(exchanges=counts)

    assert watch.look(seen(1000, 50)) == []  # before anybody looked
    assert watch.look(seen(3000, 65), after=MINUTE_MS) == []  # 15 of 2,000
    assert watch.look(seen(3000, 75, 1), after=MINUTE_MS) == ["blind.unpaired firing"]
    assert "75 requests had no answer and 1 answers no request" in watch.memory.told["unpaired"]
    assert watch.look(seen(5000, 75, 1), after=2 * HOUR_MS) == ["blind.unpaired resolved"]
