"""A trial: processes, clients, faults, and the verdict."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.faults import FAULTS, Fault
from benchmarks.chaos.faults.fault import On
from benchmarks.chaos.faults.scene import Scene
from benchmarks.chaos.injector import Injector, settle
from benchmarks.chaos.judge import judge
from benchmarks.chaos.plant.model import BOTH, SPREAD
from benchmarks.chaos.plant.plant import PRODUCT, Plant
from benchmarks.chaos.plant.process import wait_for
from benchmarks.chaos.record import Record
from benchmarks.chaos.stores.alone import Alone
from benchmarks.chaos.stores.cluster import Cluster
from benchmarks.chaos.told import heard_of, lost_events, slowest_s, tell
from benchmarks.chaos.traffic import Ledger, Traffic
from benchmarks.chaos.verdict import Verdict
from benchmarks.chaos.witness import Witness
from driftgauge.shared.errors import DriftgaugeError

APPS = 2
"""Applications that log by the client."""
WELL_S = 60.0
"""Seconds after the last fault within which all must be well."""


@dataclass(frozen=True)
class Trial:
    """What came of a run."""

    faults: Counter[str]
    lost_bytes: int
    well_after_s: float
    told_after_s: float
    told_events: int
    went_back: int
    """Failovers after which panes were judged that the new master lacked."""
    ledger: Ledger
    verdict: Verdict


def run(
    folder: Path,
    faults: Sequence[Fault],
    on: On = On.ALONE,
    *,
    seconds: float,
    seed: int,
    rate: float,
    gap_s: float,
    shift: Callable[[float], float],
    api_command: Sequence[str] = (*PRODUCT, "serve"),
) -> Trial:
    """Disturb real processes for a while, and verify what they counted and said.

    Parameters
    ----------
    folder
        Folder of the processes; its path must be short, for the socket.
    faults
        Kinds of faults that come.
    on
        What the Redis is to its clients.
    seconds
        Duration of the faults.
    seed
        Seed of the events, the faults and their instants.
    rate
        Most events a second.
    gap_s
        Mean time (s) between two faults.
    shift
        Shift of the temperature by the time that has passed (s).
    api_command
        Command of an API, instead of the product's own.
    """
    predicts = FAULTS["hanging_model"] in faults
    apps = APPS * (FAULTS["kill_app"] in faults)
    models = SPREAD if on is On.CLUSTER else BOTH
    with (
        store_of(folder, on) as store,
        Plant(
            folder, store, models=models, apps=apps, predicts=predicts, api_command=api_command
        ) as plant,
    ):
        record = Record(plant.versions)
        scene = Scene(plant, record, seed)
        traffic, witness = Traffic(plant, seed, rate), Witness(plant)
        traffic.start()
        witness.start()
        injector = Injector(scene, faults, gap_s, lambda one: bool(heard_of(one, witness)))
        try:
            injector.run(seconds, lambda passed: setattr(traffic, "shift", shift(passed)))
        except (TimeoutError, DriftgaugeError) as error:  # the rest is judged all the same
            scene.broken.append(str(error))
        late = tell(injector.occurrences, scene.went_back, witness)
        ended = time.monotonic()
        if not wait_for(lambda: witness.all_well, WELL_S):
            late.append(f"not well {WELL_S:.0f} s after the last fault: {witness.said_now()}")
        well_after_s = time.monotonic() - ended
        scene.look()
        traffic.stop()
        try:
            accepted = plant.end_apps()
        except TimeoutError as error:
            scene.broken.append(str(error))
            accepted = []
        traffic.ledger.logged = len(accepted)
        traffic.ledger.safe += accepted
        witness.stop()
        late += scene.broken
        told_after_s = slowest_s(injector.occurrences, witness)
        late += settle(plant)
        with plant.client() as client:
            record.take(client)
        logged = [one.logged for one in faults if one.logged]
        verdict = judge(plant, traffic.ledger, record, late, logged)
        told_events = lost_events(injector.occurrences, witness)
        numbered = any("events are lost" in one.fault.told for one in injector.occurrences)
        verdict.require(
            told_events or not (numbered and verdict.forgotten),
            f"{verdict.forgotten} events were taken out of Redis, and no number of them was told",
        )
    return Trial(
        faults=injector.done,
        lost_bytes=scene.lost_bytes,
        well_after_s=well_after_s,
        told_after_s=told_after_s,
        told_events=told_events,
        went_back=len(scene.went_back),
        ledger=traffic.ledger,
        verdict=verdict,
    )


def store_of(folder: Path, on: On) -> Alone | Cluster:
    """Make the Redis of a kind."""
    if on is On.CLUSTER:
        return Cluster(folder / "cluster")
    return Alone(folder, sentinels=on is On.SENTINELS)
