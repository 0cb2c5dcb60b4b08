"""What this process holds of events that may not be in Redis: so that a number that is missing
there is known to be on its way.
"""

from collections.abc import Iterator

from driftgauge.producer.publishing.lane import Lanes
from driftgauge.producer.publishing.spool import Spool
from driftgauge.producer.publishing.spool_file import Numbered
from driftgauge.shared.losses import Held


def held(lanes: Lanes, spool: Spool) -> dict[str, list[Held]]:
    """Return the numbers that are in memory, and those that are on disk, by model: for each
    publisher and log from the first to the last, of which Redis may have some already.
    """
    found: dict[str, list[Held]] = {}
    for numbers in (_in_memory(lanes), spool.numbers()):
        runs: dict[Numbered, tuple[int, int]] = {}
        for name, (first, last) in numbers:
            before = runs.get(name, (first, last))
            runs[name] = min(first, before[0]), max(last, before[1])
        for (model, log, publisher), (first, last) in runs.items():
            own = Held(log.decode(), publisher.decode(errors="replace"), first, last)
            found.setdefault(model, []).append(own)
    return found


def _in_memory(lanes: Lanes) -> Iterator[tuple[Numbered, tuple[int, int]]]:
    for lane in lanes:
        for entry in lane.fresh:
            yield (lane.model, lane.log, entry.publisher), (entry.sequence, entry.sequence)
