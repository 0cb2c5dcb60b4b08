"""Delays and false alarms on standard normal features, one alone and one drifting of 18."""

from benchmarks.detection.contestants import ALONE, TOGETHER, Contestant
from benchmarks.detection.scoring import delay, events_per_alarm, median
from benchmarks.detection.traffic import INJECTIONS, normal
from benchmarks.results import ResultRow

RUN = 100_000
"""Events without drift after one reference."""
FIRST_CLEAN_SEED = 10_000


def rows(
    contestants: list[Contestant], features: int, seeds: int, clean_events: int
) -> list[ResultRow]:
    """Measure each contestant."""
    return [_row(contestant, features, seeds, clean_events) for contestant in contestants]


def alone(seeds: int, clean_events: int) -> list[ResultRow]:
    """One feature."""
    return rows(ALONE, 1, seeds, clean_events)


def together(seeds: int, clean_events: int) -> list[ResultRow]:
    """One drifting feature of 18."""
    return rows(TOGETHER, 18, seeds, clean_events)


def _row(contestant: Contestant, features: int, seeds: int, clean_events: int) -> ResultRow:
    events, alarms = 0, 0
    for seed in range(
        FIRST_CLEAN_SEED, FIRST_CLEAN_SEED + max(clean_events // (RUN * contestant.cost), 1)
    ):
        run = min(RUN, clean_events // contestant.cost)
        alarms += sum(1 for _ in contestant.alarms(normal(seed, features, run)))
        events += run
    row: ResultRow = {
        "detector": contestant.name,
        "setting": contestant.setting,
        "events per false alarm": str(events_per_alarm(alarms, events)),
    }
    for injected in INJECTIONS:
        streams = (
            normal(
                seed, features, contestant.clean + contestant.horizon, injected, contestant.clean
            )
            for seed in range(seeds)
        )
        row[injected] = str(
            median([delay(contestant.alarms(stream), contestant.clean) for stream in streams])
        )
    return row
