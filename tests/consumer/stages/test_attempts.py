"""Work that fails again and again: what is singled out, what is set aside, and what is told."""

from collections.abc import Callable, Sequence

import msgspec
import redis

from driftgauge.consumer.stages.attempts import MOST_IN_A_ROW, Attempts
from driftgauge.shared.contract.fault import TRIES

ENTRIES = [f"{number}-0" for number in range(1, 41)]


class Run:
    """A stage that reads all entries behind its offset at each turn, and commits after each."""

    def __init__(self, fails: Callable[[str], Exception | None]) -> None:
        self.attempts = Attempts[str]("counting steel.0", str)
        self.fails = fails
        self.done: list[str] = []
        self.aside: list[str] = []
        self.turns = 0

    def turn(self) -> None:
        self.turns += 1
        offset, done, aside = len(self.done) + len(self.aside), list[str](), list[str]()
        try:
            for part in self.attempts.parts(ENTRIES[offset:]):
                self._work(part, done, aside)
        except Exception as error:  # noqa: BLE001  whatever it is
            self.attempts.failed(error, now_ms=self.turns)
        else:
            self.done += done
            self.aside += aside
            self.attempts.recovered()

    def _work(self, part: Sequence[str], done: list[str], aside: list[str]) -> None:
        if self.attempts.aside(part) is not None:
            aside += part
            return
        for entry in part:
            error = self.fails(entry)
            if error is not None:
                raise error
        done += part


def test_the_entry_is_found_and_the_rest_goes_on() -> None:
    """One bad entry of 40 is set aside after three attempts with the batch and three alone; what is
    told names it, counts the attempts, and is over then.
    """
    run = Run(lambda entry: ValueError("a wrong\nvalue") if entry == "17-0" else None)
    for _ in range(2 * TRIES):
        run.turn()
    fault = run.attempts.fault
    assert fault is not None
    assert (fault.entry, fault.tries, fault.over) == ("17-0", 2 * TRIES, False)
    run.turn()
    assert run.aside == ["17-0"]
    assert len(run.done) == 39
    fault = run.attempts.fault
    assert fault is not None
    assert (fault.over, fault.set_aside, fault.since, fault.at) == (True, 1, 1, 2 * TRIES)
    assert "\n" not in fault.reason.strip()


def test_bad_entries_among_good_ones_are_all_found() -> None:
    """Every fifth entry is bad: each of them is set aside, and none else."""
    run = Run(lambda entry: KeyError(entry) if int(entry[:-2]) % 5 == 0 else None)
    for _ in range(100):
        run.turn()
    assert run.aside == ENTRIES[4::5]
    assert len(run.done) == 32


def test_a_fault_of_every_entry_sets_aside_ten_at_most() -> None:
    """If entry after entry fails it is not the entries: nothing more is lost, and once it is mended
    all of the rest is done.
    """
    broken = [True]
    run = Run(lambda _: TypeError("a fault of the code") if broken[0] else None)
    for _ in range(40 * TRIES):
        run.turn()
    assert len(run.aside) <= MOST_IN_A_ROW
    assert run.attempts.fault is not None
    assert not run.attempts.fault.over
    broken[0] = False
    run.turn()
    assert len(run.done) + len(run.aside) == len(ENTRIES)


def test_redis_is_never_the_entrys_fault() -> None:
    """Entries that fail since Redis has no memory are tried for ever."""
    run = Run(lambda _: redis.ResponseError("OOM command not allowed"))
    for _ in range(10 * TRIES):
        run.turn()
    assert not run.aside
    assert run.attempts.fault is not None
    assert run.attempts.fault.tries == 10 * TRIES


def test_a_fault_is_not_over_before_its_entry_is_passed() -> None:
    """A process that takes over, and finds the fault of another one, counts on; work before the
    entry does not end the fault.
    """
    first = Attempts[str]("counting steel.0", str)
    for part in first.parts(["5-0"]):
        found = first.failed(ValueError(part), now_ms=1)
        break
    second = Attempts[str]("counting steel.0", str)
    second.adopt(msgspec.json.encode(found))
    list(second.parts(["4-0"]))
    assert second.recovered() is None
    list(second.parts(["5-0"]))
    over = second.recovered()
    assert over is not None
    assert over.over
    second.adopt(b"of another format")
