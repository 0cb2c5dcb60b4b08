"""Rules of what is lost, and of a Redis that went back to an older state. Pure.

Both say what happened, not how it stands: they fire until a person has acknowledged them, or for
`TOLD_MS` after the last of it was found.

A missing number of a publisher is *waited for* as long as a living API process says that it holds
it, in memory or in its spool. One that nobody holds is lost after `loss_after_seconds`, in which a
process may still come to say so.
"""

from collections.abc import Mapping
from typing import Final

from driftgauge.producer.reading.model_state import ModelState
from driftgauge.producer.watching.observation import (
    Assessment,
    HoleSeen,
    Memory,
    Observation,
    named,
)
from driftgauge.shared.losses import REST, TOLD_MS, Held, Holdings, Hole, Setback, unheld

AGAIN_MS: Final = 60_000
"""Time (ms) within which setbacks of a key that two processes found are the same one."""
ENDED: Final = "Acknowledge this alert when you have seen it; it ends after a day."


def missing(state: ModelState, living: list[Held]) -> dict[str, tuple[Hole, int]]:
    """Return the holes of which nobody living holds all numbers, by a name, with how many of their
    numbers nobody holds.
    """
    found = {}
    for partition in state.partitions:
        held = [one for one in living if one.log == partition.log]
        for hole in partition.holes:
            free = unheld(hole, held)
            if free:
                found[f"{partition.partition}:{hole.publisher}:{hole.first}"] = hole, free
    return found


def held_by_the_living(state: ModelState) -> list[Held]:
    """Return what the API processes that are there hold."""
    return [held for one in state.held if _lives(one, state.now_ms) for held in one.held]


def waiting_and_lost(state: ModelState) -> tuple[int, int]:
    """Return how many missing numbers are held by a living process, and how many by nobody."""
    every = sum(hole.missing for partition in state.partitions for hole in partition.holes)
    free = sum(free for _, free in missing(state, held_by_the_living(state)).values())
    return every - free, free


def lost(memory: Memory, observed: Observation) -> Assessment:
    """Judge the missing numbers that nobody holds, once they are so for `loss_after_seconds`."""
    now, limit_ms = observed.now, observed.settings.loss_after_seconds * 1000
    found = missing(observed.state, held_by_the_living(observed.state))
    memory.holes = {name: memory.holes.get(name, HoleSeen(now)) for name in found}
    due = {
        name: seen for name, seen in memory.holes.items() if observed.since(seen.since) >= limit_ms
    }
    for seen in due.values():
        seen.told = seen.told or now
        seen.settled |= "lost" in observed.acknowledged or observed.since(seen.told) >= TOLD_MS
    open_ = {name: found[name] for name, seen in due.items() if not seen.settled}
    events = sum(free for _, free in open_.values())
    if not events:
        return Assessment(bad=False, summary=_over("lost", observed, "No further event is lost."))
    holes = sorted((hole for hole, _ in open_.values()), key=lambda one: one.publisher == REST)
    first, more = holes[0], f", and {len(holes) - 1} more gaps" if len(holes) > 1 else ""
    summary = (
        f"{events:,} events are lost: publisher {first.publisher} numbered them {first.first:,} to "
        f"{first.last:,}{more}, they have not arrived, and no API process that runs holds them. "
        f"The counts lack them. {_whereabouts(observed, holes)} {ENDED}"
    )
    return Assessment(bad=True, value=events, summary=summary)


def rolled_back(memory: Memory, observed: Observation) -> Assessment:
    """Judge what is older in Redis than it was seen before, or gone.

    An alert tells what was found until it was written. What is found while it fires stands in its
    words, but whoever acknowledges it may not have seen that: it has an alert of its own then.
    """
    told = memory.setbacks_later if "rolled_back" in memory.firing else memory.setbacks
    told |= {one.what: one for one in _news(memory, observed)}
    memory.setbacks = {
        what: one
        for what, one in memory.setbacks.items()
        if "rolled_back" not in observed.acknowledged and observed.since(one.at) < TOLD_MS
    }
    if not memory.setbacks:
        memory.setbacks, memory.setbacks_later = memory.setbacks_later, {}
        words = _over("rolled_back", observed, "Nothing went back further.")
        return Assessment(bad=False, summary=words)
    every = [*memory.setbacks.values(), *memory.setbacks_later.values()]
    events = sum(one.events for one in every)
    what = named({one.words: float(one.events) for one in every})
    summary = (
        f"Redis came back with an older state, or keys were deleted: {what}. What was counted, "
        "judged and told since then is lost unless its publishers still hold it. Was an older "
        f"copy restored, or did a replica take over that lagged? {ENDED}"
    )
    return Assessment(bad=True, value=events or len(every), summary=summary)


def _news(memory: Memory, observed: Observation) -> list[Setback]:
    """Return the setbacks that nobody has told.

    Each is known by what it is and when it was found, so a counter that goes back with its slot
    hides none. One may be found by a worker and by several API processes: the first one tells it,
    and what another knows of its events is added.
    """
    state, seen, found = observed.state, memory.setbacks_seen, memory.setbacks_found
    oldest = state.now_ms - TOLD_MS
    counted = (one for partition in state.partitions for one in partition.setbacks)
    news = []
    for one in sorted([*state.judging_setbacks, *counted, *observed.noted], key=_when):
        if one.at > seen.get(one.what, oldest):
            seen[one.what] = one.at
            news += [] if _same(one, found) else [one]
    for one in sorted(observed.setbacks, key=_when):
        if one.at > found.get(one.what, oldest):
            known = _same(one, found) or _same(one, seen)
            found[one.what] = one.at
            news += [] if known else [one]
            for told in (memory.setbacks, memory.setbacks_later):
                if known and one.what in told and one.events > told[one.what].events:
                    told[one.what] = one
    return news


def _when(one: Setback) -> int:
    return one.at


def _same(one: Setback, others: Mapping[str, int]) -> bool:
    """Tell whether a setback may be one that another process found, by the times of these."""
    return one.what in others and abs(one.at - others[one.what]) <= AGAIN_MS


def _whereabouts(observed: Observation, holes: list[Hole]) -> str:
    """Say which process that is gone held some of them, or ask what may have become of them."""
    state = observed.state
    publishers = {hole.publisher for hole in holes}
    gone = [
        one
        for one in state.held
        if not _lives(one, state.now_ms) and any(held.publisher in publishers for held in one.held)
    ]
    if not gone:
        return "Did Redis lose its last writes, or an API process its spool?"
    latest = max(gone, key=lambda one: one.told_ms)
    minutes = observed.since(latest.told_ms) / 60_000
    return (
        f"The API process of {latest.where} held them {minutes:.0f} minutes ago: start one there "
        f"again, and its spool brings them."
    )


def _lives(one: Holdings, now_ms: int) -> bool:
    return now_ms < one.until_ms


def _over(rule: str, observed: Observation, words: str) -> str:
    """Say why an alert ended."""
    seen = observed.acknowledged.get(rule)
    return words if seen is None else f"Acknowledged by {seen.who}{seen.note and ': '}{seen.note}"
