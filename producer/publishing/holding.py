"""What this process holds of events that may not be in Redis: so that a number that is missing
there is known to be on its way.
"""

from driftgauge.producer.publishing.lane import Lanes
from driftgauge.producer.publishing.spool import Spool
from driftgauge.producer.publishing.spool_file import Numbered
from driftgauge.shared.losses import Held


def held(lanes: Lanes, spool: Spool) -> dict[str, list[Held]]:
    """Return the numbers that are in memory, and those that are on disk, by model: for each
    publisher and log from the first to the last, of which Redis may have some already.
    """
    found: dict[str, list[Held]] = {}
    for lane in lanes:
        if lane.fresh:
            numbers = lane.fresh[0].sequence, lane.fresh[-1].sequence
            own = Held(lane.log.decode(), lane.publisher.decode(), min(numbers), max(numbers))
            found.setdefault(lane.model, []).append(own)
    on_disk: dict[Numbered, tuple[int, int]] = {}
    for name, (first, last) in spool.numbers():
        before = on_disk.get(name, (first, last))
        on_disk[name] = min(first, before[0]), max(last, before[1])
    for (model, log, publisher), (first, last) in on_disk.items():
        own = Held(log.decode(), publisher.decode(errors="replace"), first, last)
        found.setdefault(model, []).append(own)
    return found
