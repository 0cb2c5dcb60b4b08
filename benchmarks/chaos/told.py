"""Whether people were told: of every fault that hides something, and of every loss with its
number.
"""

import re
import time
from collections.abc import Sequence

from benchmarks.chaos.faults.scene import TELL_S
from benchmarks.chaos.injector import Occurrence
from benchmarks.chaos.plant.process import wait_for
from benchmarks.chaos.witness import Saying, Witness

MODEL = re.compile(r"^(\w+): ")
NUMBER = re.compile(r"\b([\d,]+) events(?: are lost|\))")
"""Numbers of events that an API says: those that are lost, and those of each key that went back."""


def tell(
    occurrences: Sequence[Occurrence], went_back: Sequence[tuple[str, float]], witness: Witness
) -> list[str]:
    """Wait until all that has to be told had its time; return the faults of which nothing was
    said.

    Parameters
    ----------
    went_back
        Models of which judged panes went back, and when (s, monotonic).
    """
    last = max((one.began for one in occurrences if one.fault.loses), default=-TELL_S)
    time.sleep(max(0.0, last + TELL_S - time.monotonic()))
    silent = [
        f"{model}: nobody was told within {TELL_S:.0f} s that its panes went back"
        for model, at in went_back
        if not _wait_for_setback(model, at, witness)
    ]
    return silent + [
        f"{one.fault.name}: nothing was said of it within {TELL_S:.0f} s"
        for one in occurrences
        if one.fault.told and not _wait_for_words(one, witness)
    ]


def slowest_s(occurrences: Sequence[Occurrence], witness: Witness) -> float:
    """Return the longest time (s) until a loss was told."""
    return max(
        (
            heard[0].first - one.began
            for one in occurrences
            if one.fault.loses and (heard := heard_of(one, witness))
        ),
        default=0.0,
    )


def lost_events(occurrences: Sequence[Occurrence], witness: Witness) -> int:
    """Return how many events were told to be lost, of all models and losses: for each the largest
    number that was said.
    """
    total = 0
    for one in occurrences:
        if one.fault.loses:
            told: dict[str, int] = {}
            for said in heard_of(one, witness):
                model = MODEL.match(said.words)
                name = model[1] if model else ""
                events = sum(int(of.replace(",", "")) for of in NUMBER.findall(said.words))
                told[name] = max(told.get(name, 0), events)
            total += sum(told.values())
    return total


def _wait_for_words(one: Occurrence, witness: Witness) -> bool:
    patience_s = one.began + TELL_S - time.monotonic()
    return wait_for(lambda: bool(heard_of(one, witness)), max(0.0, patience_s))


def _wait_for_setback(model: str, at: float, witness: Witness) -> bool:
    words = rf"^{model}: blind.rolled_back firing"
    patience_s = at + TELL_S - time.monotonic()
    return wait_for(lambda: bool(witness.heard(words, at, at + TELL_S)), max(0.0, patience_s))


def heard_of(one: Occurrence, witness: Witness) -> list[Saying]:
    """Return what was said of a fault in time; of a loss only what is new."""
    heard = witness.heard(one.fault.told, one.began, one.began + TELL_S)
    return [said for said in heard if said.first >= one.began or not one.fault.loses]
