"""Exactly once, on real processes under real faults; and the proof that this test can fail."""

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.faults.fault import On
from benchmarks.chaos.injector import settle
from benchmarks.chaos.judge import judge
from benchmarks.chaos.plant.model import ONE, PREFIX
from benchmarks.chaos.plant.plant import PRODUCT, PYTHON, Plant
from benchmarks.chaos.plant.process import Process, wait_for
from benchmarks.chaos.record import Record
from benchmarks.chaos.stores.alone import Alone
from benchmarks.chaos.traffic import Traffic
from benchmarks.chaos.trial import run
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys

SECONDS = 9.0
QUICK = (
    "kill_worker",
    "stop_worker",
    "kill_api",
    "kill_app",
    "kill_clients",
    "kill_redis",
    "power_loss",
    "outage",
    "stop_redis",
    "full_redis",
)
"""Faults that are soon over."""
SEED = 3
WEAKENED = (*PYTHON, "tests.chaos.weakened")
PATIENCE_S = 100.0
KEYS = Keys(PREFIX)


def until(true: Callable[[], Any], what: str) -> None:
    assert wait_for(true, PATIENCE_S), f"waited in vain for {what}"


def alerts(plant: Plant) -> list[dict[str, Any]]:
    with plant.client() as client:
        return [
            msgspec.json.decode(fields[b"e"]) for _, fields in client.xrange(KEYS.alerts("plant"))
        ]


def counted(plant: Plant) -> int:
    with plant.client() as client:
        packed: Any = client.hget(KEYS.count("plant", 0), "counters")
        return msgspec.json.decode(packed, type=Counters).events if packed else 0


def promised(traffic: Traffic, more: int) -> Callable[[], bool]:
    """A condition: so many more events were promised."""
    before = len(traffic.ledger.safe)
    return lambda: len(traffic.ledger.safe) >= before + more


@pytest.mark.long
def test_faults_at_random_instants_change_nothing(folder: Path) -> None:
    """Whatever is killed, stopped, cut off or loses power: every promised event is in the log,
    every event of the log is in every cell once, and alerts, snapshots and panes are those of a run
    over the same log that nothing disturbed.
    """
    trial = run(
        folder,
        [FAULTS[name] for name in QUICK],
        seconds=SECONDS,
        seed=SEED + 1,
        rate=150,
        gap_s=0.9,
        shift=lambda passed: float(passed > SECONDS / 3),
    )
    assert trial.verdict.broken == []
    assert trial.faults.keys() == set(QUICK)
    assert trial.ledger.resent + trial.ledger.sent_twice > 0
    assert trial.verdict.in_log >= trial.verdict.promised > 500
    assert trial.verdict.copies > 0
    assert trial.verdict.alerts > 0
    assert trial.ledger.logged > 200


@pytest.mark.long
def test_every_fault_is_told_and_over_by_itself(folder: Path) -> None:
    """Whatever Redis refuses, whichever disk is full, whoever takes over, hangs or is slow: nothing
    is lost, people are told while it lasts, and all is well again by itself.
    """
    faults = [one for one in FAULTS.values() if not one.loses and On.ALONE in one.on]
    trial = run(folder, faults, seconds=60, seed=SEED, rate=150, gap_s=2, shift=lambda _: 0.0)
    assert trial.verdict.broken == []
    assert trial.faults.keys() == {one.name for one in faults}
    assert trial.ledger.given_up > 0
    assert trial.verdict.forgotten == 0


@pytest.mark.long
def test_sentinels_fail_over(folder: Path) -> None:
    """Behind Sentinels nothing is lost by a failover, planned or not."""
    faults = [one for one in FAULTS.values() if one.on == {On.SENTINELS}]
    trial = run(
        folder, faults, On.SENTINELS, seconds=20, seed=SEED, rate=150, gap_s=2, shift=lambda _: 0.0
    )
    assert trial.verdict.broken == []
    assert trial.verdict.copies > 0


@pytest.mark.long
@pytest.mark.parametrize("name", ["flush_all", "older_dump", "evicted_counts"])
def test_what_is_lost_is_told_with_its_number(folder: Path, name: str) -> None:
    """What Redis lost for good is told within a minute, with the number of events while their
    publishers live; everything else is counted once, and all is well when a person has
    acknowledged it.
    """
    trial = run(
        folder,
        [FAULTS[name], FAULTS["kill_worker"]],
        seconds=35,
        seed=SEED,
        rate=150,
        gap_s=8,
        shift=lambda _: 0.0,
    )
    assert trial.verdict.broken == []
    assert trial.faults[name] == 1
    assert trial.told_events >= trial.verdict.forgotten
    assert (trial.verdict.forgotten > 0) == (name != "evicted_counts")


@pytest.mark.long
def test_a_loss_of_which_nothing_is_said_is_found(folder: Path) -> None:
    """Without the watchdog's rules of losses the verdict is red: it can fail."""
    command = (*WEAKENED, "without_telling", "serve")
    trial = run(
        folder,
        [FAULTS["flush_all"]],
        seconds=5,
        seed=SEED,
        rate=150,
        gap_s=5,
        shift=lambda _: 0.0,
        api_command=command,
    )
    assert "flush_all: nothing was said of it within 60 s" in trial.verdict.broken


@pytest.mark.long
@pytest.mark.parametrize("guard", [None, pytest.param("without_fence", id="without the fence")])
def test_a_worker_that_slept_through_its_lease(folder: Path, guard: str | None) -> None:
    """A worker that wakes after another one took over cannot commit; without token and WATCH,
    alerts are written twice.
    """
    command = (*WEAKENED, guard, "worker") if guard else (*PRODUCT, "worker")
    with (
        Alone(folder) as alone,
        Plant(folder, alone, models=ONE, apis=1, workers=1, worker_command=command) as plant,
    ):
        sleeper = plant.workers[0]
        traffic = Traffic(plant, SEED, rate=300)
        traffic.start()
        until(
            lambda: counted(plant) > 300 and "judging plant: owned" in sleeper.log.read_text(),
            "the first worker",
        )
        sleeper.signal(signal.SIGSTOP)
        traffic.shift = 2.0
        other = Process("other", (*PRODUCT, "worker"), plant.settings, folder)
        plant.workers.append(other)
        other.start()
        until(
            lambda: any(alert["data"]["state"] == "firing" for alert in alerts(plant)),
            "an alert by the second worker",
        )
        sleeper.signal(signal.SIGCONT)
        until(
            lambda: "Loading again" in sleeper.log.read_text() or twice(plant),
            "the sleeper's attempt to commit",
        )
        traffic.stop()
        late = settle(plant, 10.0 if guard else PATIENCE_S)
        conclude(plant, traffic, late, "alerts were written twice" if guard else None)


@pytest.mark.long
@pytest.mark.parametrize(
    "guard", [None, pytest.param("without_intervals", id="without the intervals")]
)
def test_a_tail_that_is_sent_again(folder: Path, guard: str | None) -> None:
    """Events whose replies were lost are sent again under their numbers and not counted again;
    without the interval check they are.
    """
    command = (*WEAKENED, guard, "worker") if guard else (*PRODUCT, "worker")
    with (
        Alone(folder) as alone,
        Plant(folder, alone, models=ONE, apis=1, workers=1, worker_command=command) as plant,
    ):
        traffic = Traffic(plant, SEED, rate=300, with_ids=0.0)
        traffic.start()
        until(promised(traffic, 500), "events")
        traffic.stop()
        with plant.client() as client:
            log = KEYS.log("plant", 0)
            tail: Any = client.xrevrange(log, count=60)
            for _, fields in reversed(tail):
                if fields[b"t"] == b"p":
                    client.xadd(log, fields)
        conclude(plant, traffic, settle(plant), "events counted" if guard else None)


@pytest.mark.long
@pytest.mark.parametrize("guard", [None, pytest.param("without_ring", id="without the ring")])
def test_power_loss_right_after_the_acknowledgement(folder: Path, guard: str | None) -> None:
    """What Redis acknowledged and forgot with its last second is sent again; without the ring it is
    lost.
    """
    command = (*WEAKENED, guard, "serve") if guard else (*PRODUCT, "serve")
    with (
        Alone(folder) as alone,
        Plant(folder, alone, models=ONE, apis=1, workers=1, api_command=command) as plant,
    ):
        traffic = Traffic(plant, SEED, rate=300)
        traffic.start()
        until(promised(traffic, 600), "events")  # two seconds of them
        assert alone.power.strike() > 0
        alone.start_redis()
        until(promised(traffic, 200), "events after it")
        until(plant.apis_have_sent_all, "the APIs")
        traffic.stop()
        conclude(
            plant, traffic, settle(plant), "promised events are not in the log" if guard else None
        )


def twice(plant: Plant) -> bool:
    return max(Counter(alert["id"] for alert in alerts(plant)).values()) > 1


def conclude(plant: Plant, traffic: Traffic, late: list[str], broken: str | None) -> None:
    """The verdict is green, or names the promise that is broken without the guard."""
    record = Record(plant.versions)
    with plant.client() as client:
        record.take(client)
    verdict = judge(plant, traffic.ledger, record, late)
    if broken is None:
        assert verdict.broken == []
        assert verdict.counted > 0
    else:
        assert any(broken in promise for promise in verdict.broken)
