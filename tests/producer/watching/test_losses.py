from typing import Any

import msgspec

from driftgauge.producer.reading.model_state import Backlog, ModelState, PartitionState
from driftgauge.producer.watching.blind import judge
from driftgauge.producer.watching.losses import waiting_and_lost
from driftgauge.producer.watching.observation import Memory, Observation
from driftgauge.shared.contract.commands import Acknowledge
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.losses import TOLD_MS, Held, Holdings, Hole, Setback
from driftgauge.shared.settings import Settings

START = 1_800_000_000_000
LOG = "dg:{m.0}:log"
HOLE = Hole("p1", 5, 14, 10)
SEEN = Acknowledge("0" * 16, "ann", "the disk was lost")


class Watch:
    """A watchdog's looks at a model with one partition."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.settings = Settings()
        self.now = START

    def look(
        self,
        *holes: Hole,
        after: int = 0,
        held: tuple[Holdings, ...] = (),
        partition: dict[str, Any] | None = None,
        found: list[Setback] | None = None,
        seen: str = "",
    ) -> list[str]:
        self.now += after
        one = PartitionState(
            0,
            Counters(),
            {},
            owned=True,
            offset="1-0",
            backlog=Backlog(),
            dead_letters=0,
            judged="7-0",
            panes_behind=0,
            log=LOG,
            holes=holes,
            **(partition or {}),
        )
        state = ModelState("m", self.now, (one,), judging_owned=True, firing={}, held=held)
        acknowledged = {seen: SEEN} if seen else {}
        observed = Observation(
            state, [], self.settings, setbacks=found or [], acknowledged=acknowledged
        )
        alerts = judge(self.memory, observed)
        self.said = [alert.summary for alert in alerts]
        self.memory = msgspec.json.decode(msgspec.json.encode(self.memory), type=Memory)
        return [f"{alert.rule} {alert.state} {alert.severity}" for alert in alerts]

    def holding(self, first: int, last: int, for_ms: int = 20_000) -> tuple[Holdings, ...]:
        held = [Held(LOG, "p1", first, last)]
        return (Holdings(self.now, self.now + for_ms, "host-a:/data", held),)


def test_what_nobody_holds_is_lost_within_a_minute() -> None:
    """A hole that is no process's is told after half a minute, with publisher, numbers and how
    many; it ends when the numbers arrive after all.
    """
    watch = Watch()
    assert watch.look(HOLE) == []
    assert watch.look(HOLE, after=29_000) == []
    assert watch.look(HOLE, after=1000) == ["blind.lost firing critical"]
    assert "10 events are lost: publisher p1 numbered them 5 to 14" in watch.said[0]
    assert watch.look(HOLE, after=3_600_000) == []
    assert watch.look() == ["blind.lost resolved critical"]


def test_what_a_living_process_holds_is_waited_for() -> None:
    """However long a spool keeps it, it is no loss; what it does not hold is; when the process is
    gone it is told where its spool is.
    """
    watch = Watch()
    for _ in range(100):
        assert watch.look(HOLE, after=60_000, held=watch.holding(1, 99, for_ms=70_000)) == []
    last = watch.holding(1, 99)
    assert watch.look(HOLE, after=25_000, held=last) == []
    assert watch.look(HOLE, after=30_000, held=last) == ["blind.lost firing critical"]
    assert "The API process of host-a:/data held them" in watch.said[0]
    other = Watch()
    other.look(HOLE, held=other.holding(5, 11))
    other.look(HOLE, after=30_000, held=other.holding(5, 11, for_ms=99_000))
    assert other.said[0].startswith("3 events are lost")
    partition = PartitionState(
        0, Counters(), {}, True, "1-0", Backlog(), 0, "7-0", 0, log=LOG, holes=(HOLE,)
    )
    state = ModelState("m", other.now, (partition,), True, {}, held=other.holding(5, 11))
    assert waiting_and_lost(state) == (7, 3)


def test_holes_that_are_filled_in_time_are_no_loss() -> None:
    """Late numbers of which there are some at every look, each filled soon, are never told."""
    watch = Watch()
    for number in range(1, 50):
        assert watch.look(Hole("p1", number, number, 1), after=20_000) == []


def test_a_loss_is_told_until_somebody_has_seen_it_or_for_a_day() -> None:
    """After an acknowledgement, or a day, the same loss is told no more; a further one is."""
    watch = Watch()
    watch.look(HOLE)
    assert watch.look(HOLE, after=30_000) == ["blind.lost firing critical"]
    assert watch.look(HOLE, after=1000, seen="lost") == ["blind.lost resolved critical"]
    assert watch.said == ["Acknowledged by ann: the disk was lost"]
    further = Hole("p1", 20, 20, 1)
    assert watch.look(HOLE, further, after=60_000) == []
    assert watch.look(HOLE, further, after=30_000) == ["blind.lost firing critical"]
    assert watch.said[0].startswith("1 events are lost")
    assert watch.look(HOLE, further, after=TOLD_MS) == ["blind.lost resolved critical"]
    assert watch.look(HOLE, further, after=TOLD_MS) == []


def test_what_went_back_is_told_once_whoever_finds_it() -> None:
    """A setback that the API finds, and the worker too, is one alert with the most that is known of
    it, until it is acknowledged.
    """
    watch = Watch()
    noted = Setback("dg:{m.0}:count", "commit 500", "commit 320", START)
    by_worker = {"setbacks": (noted,)}
    assert watch.look() == []
    assert watch.look(partition=by_worker) == ["blind.rolled_back firing critical"]
    counted = msgspec.structs.replace(noted, at=START + 4000, events=6000)
    assert watch.look(after=4000, partition=by_worker, found=[counted]) == []
    told = watch.memory.told["rolled_back"]
    assert "count went back from commit 500 to commit 320 (6,000 events)" in told
    ended = watch.look(after=1000, partition=by_worker, seen="rolled_back")
    assert ended == ["blind.rolled_back resolved critical"]
    assert watch.look(after=1000, partition=by_worker) == []


def test_an_old_setback_is_no_news() -> None:
    """One that a worker noted days ago is not told by a watchdog that begins; one that it noted
    since then is, for a day.
    """
    watch = Watch()
    old = Setback("dg:{m.0}:count", "commit 9", "", START - TOLD_MS)
    assert watch.look(partition={"setbacks": (old,)}) == []
    noted = msgspec.structs.replace(old, at=START)
    assert watch.look(partition={"setbacks": (noted,)}) == ["blind.rolled_back firing critical"]
    ended = watch.look(after=TOLD_MS, partition={"setbacks": (noted,)})
    assert ended == ["blind.rolled_back resolved critical"]
    assert watch.look(partition={"setbacks": (noted,)}) == []


def test_what_goes_back_while_an_alert_fires_has_one_of_its_own() -> None:
    """A setback that is found after an alert was written, be it of the same key or another one,
    stands in its words, and is told by another alert when that one is acknowledged: also if it is
    found in the same look.
    """
    watch = Watch()
    first, again = (Setback("dg:{m.0}:panes", f"entry {n}-0", "an earlier one", n) for n in (1, 2))
    first, again = (msgspec.structs.replace(one, at=START + one.at) for one in (first, again))
    other = msgspec.structs.replace(first, what="dg:{m.0}:log", at=START + 3)
    assert watch.look(partition={"setbacks": (first,)}) == ["blind.rolled_back firing critical"]
    assert watch.look(after=1000, partition={"setbacks": (again,)}) == []
    assert "from entry 2-0" in watch.memory.told["rolled_back"]
    both = {"setbacks": (other, again)}
    ended = watch.look(after=1000, partition=both, seen="rolled_back")
    assert ended == ["blind.rolled_back resolved critical"]
    assert watch.look(after=1000, partition=both) == ["blind.rolled_back firing critical"]
    assert "dg:{m.0}:log went back" in watch.said[0]
    assert "from entry 2-0" in watch.said[0]
    ended = watch.look(after=1000, partition=both, seen="rolled_back")
    assert ended == ["blind.rolled_back resolved critical"]
    assert watch.look(after=1000, partition=both) == []


def test_one_that_several_processes_find_is_told_once_though_it_was_acknowledged() -> None:
    """What an API told and somebody acknowledged is no news when a worker or another API finds it a
    moment later; when it goes back again it is.
    """
    watch = Watch()
    found = Setback("dg:{m.0}:count", "commit 500", "commit 320", START, 6000)
    late = msgspec.structs.replace(found, at=START + 20_000)
    assert watch.look(found=[found]) == ["blind.rolled_back firing critical"]
    watch.look(after=1000, found=[found], seen="rolled_back")
    assert watch.look(after=20_000, found=[found, late]) == []
    assert watch.look(partition={"setbacks": (late,)}) == []
    further = msgspec.structs.replace(late, at=START + 90_000)
    partition = {"setbacks": (further,)}
    assert watch.look(after=90_000, partition=partition) == ["blind.rolled_back firing critical"]
    assert watch.look(found=[further], seen="rolled_back") == [
        "blind.rolled_back resolved critical"
    ]
