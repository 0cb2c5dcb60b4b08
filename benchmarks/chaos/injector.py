"""The seeded injector: at random instants one of the table's faults begins, and later it ends.

Faults overlap: while one is under way the next one comes.
"""

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.chaos.faults import Fault
from benchmarks.chaos.faults.fault import Course
from benchmarks.chaos.faults.scene import TELL_S, Scene
from benchmarks.chaos.plant.plant import Plant
from benchmarks.chaos.plant.process import ENDED, wait_for

PAUSE_S = 0.01
PATIENCE_S = 60.0
HEAR_S, LONGEST_S = 0.2, 20.0
"""Pause (s) between two looks whether something was said, and longest time of a fault for it."""


@dataclass
class Occurrence:
    """A fault that came, and the times (s, monotonic) at which it began and ended."""

    fault: Fault
    began: float
    ended: float = np.inf


class Injector:
    """Applies faults to a plant.

    Parameters
    ----------
    scene
        The plant, and what was done to it.
    faults
        Kinds of faults; each comes as often as its weight says.
    gap_s
        Mean time between two faults.
    heard
        Whether something was said of a fault: one that lasts, and of which something has to be
        said, goes on until it is, for a while.

    Attributes
    ----------
    occurrences
        The faults that came, in order.
    """

    def __init__(
        self,
        scene: Scene,
        faults: Sequence[Fault],
        gap_s: float,
        heard: Callable[[Occurrence], bool],
    ) -> None:
        self.occurrences: list[Occurrence] = []
        self._scene = scene
        self._faults = faults
        self._gap_s = gap_s
        self._heard = heard
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._deck: list[Fault] = []

    @property
    def done(self) -> Counter[str]:
        """Faults by name."""
        return Counter(one.fault.name for one in self.occurrences)

    def run(self, seconds: float, meanwhile: Callable[[float], None] = lambda _: None) -> None:
        """Apply faults for a while, and wait until they are over.

        Parameters
        ----------
        seconds
            Duration; it is extended until every kind of fault has occurred. Events must come until
            this returns.
        meanwhile
            Function that is called again and again with the time that has passed (s).
        """
        started = time.monotonic()
        following = started + self._gap()
        patience_s = PATIENCE_S + TELL_S * sum(one.loses for one in self._faults)
        while (now := time.monotonic()) < started + seconds or self._missing():
            meanwhile(now - started)
            self._scene.look()
            self._work_off(now)
            if now >= following and self._fault():
                following = now + self._gap()
            if now > started + seconds + patience_s:
                raise TimeoutError(f"These faults did not occur: {self._missing()}.")
            time.sleep(PAUSE_S)
        while self._later:
            self._work_off(time.monotonic())
            time.sleep(PAUSE_S)
        if not wait_for(lambda: not self._scene.ring_is_owed(), PATIENCE_S):
            raise TimeoutError("The APIs have not sent again what Redis may have forgotten.")

    def _missing(self) -> set[str]:
        return {one.name for one in self._faults} - self.done.keys()

    def _gap(self) -> float:
        return self._scene.between(0.3, 1.7) * self._gap_s

    def _fault(self) -> bool:
        """Begin the next shuffled fault that is possible now; return whether there was one."""
        for _ in range(2):
            for one in self._deck:
                if one.needs(self._scene):
                    self._deck.remove(one)
                    self._begin(one)
                    return True
            if len(self._deck) > len(self._faults):
                return False
            self._deck += self._shuffled()
        return False

    def _shuffled(self) -> list[Fault]:
        """Return the faults by their weights, in a random order; at first each of them once."""
        first = not self.occurrences
        cards = [one for one in self._faults for _ in range(1 if first else one.weight)]
        return [cards[place] for place in self._scene.random.permutation(len(cards))]

    def _begin(self, one: Fault) -> None:
        occurrence = Occurrence(one, time.monotonic())
        self.occurrences.append(occurrence)
        self._scene.redis_taken = self._scene.redis_taken or one.of_redis
        self._step(occurrence, one.course(self._scene))

    def _step(self, occurrence: Occurrence, course: Course) -> None:
        """Go on with a fault until it waits or ends."""
        try:
            pause_s = next(course)
        except StopIteration:
            occurrence.ended = time.monotonic()
            if occurrence.fault.of_redis:
                self._scene.redis_taken = False
            return
        self._in(pause_s, lambda: self._when_heard(occurrence, course))

    def _when_heard(self, occurrence: Occurrence, course: Course) -> None:
        """Go on with a fault once something was said of it, if something has to be."""
        fault, lasts_s = occurrence.fault, time.monotonic() - occurrence.began
        if fault.told and not fault.loses and lasts_s < LONGEST_S and not self._heard(occurrence):
            self._in(HEAR_S, lambda: self._when_heard(occurrence, course))
        else:
            self._step(occurrence, course)

    def _in(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._order), action))

    def _work_off(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()


def settle(plant: Plant, patience_s: float = 60.0) -> list[str]:
    """Wait until all that was accepted is in the log, counted and judged, then end APIs and
    workers.

    Returns
    -------
    list of str
        What was not finished in time.
    """
    late = []
    if not wait_for(lambda: plant.apis_have_sent_all() and plant.spool_is_empty(), patience_s):
        late.append("the APIs have not sent all that they accepted")
    late += [
        f"{api.name} ended with {code}" for api in plant.apis if (code := api.end()) not in ENDED
    ]
    if not wait_for(lambda: plant.progress().all_counted, patience_s):
        late.append(f"the workers have not counted and judged the whole log: {plant.progress()}")
    late += [
        f"{worker.name} ended with {code}"
        for worker in plant.workers
        if (code := worker.end()) not in ENDED
    ]
    late += plant.finish(patience_s)
    return late
