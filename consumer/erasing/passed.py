"""How far the readers of a log are: what all of them have passed is not read again."""

from typing import Any, NamedTuple

import redis

from driftgauge.shared.archive.archived import ARCHIVE_GROUP, OFFSET
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.contract.events import MONITOR_GROUP
from driftgauge.shared.contract.keys import Keys

OURS = {MONITOR_GROUP.encode(), ARCHIVE_GROUP.encode()}
"""The groups that only show what stands in checkpoints."""


class Passed(NamedTuple):
    """The last entry that all readers of a log have passed, and the reader that is the slowest."""

    entry: EntryId
    reader: str


def passed(client: redis.Redis, keys: Keys, model: str, partition: int) -> Passed:
    """Return how far the slowest reader of a log is: counting, the archive, or a consumer group.

    Parameters
    ----------
    client
        Redis client of the partition's slot; also a pipeline that watches keys.
    """
    log = keys.log(model, partition)
    readers: dict[str, Any] = {
        "counting": client.hget(keys.count(model, partition), OFFSET),
        "the archive": client.hget(keys.archive(model, partition), OFFSET),
    }
    groups: Any = client.xinfo_groups(log) if client.exists(log) else []
    readers |= {
        f"the consumer group {group['name'].decode(errors='replace')!r}": group["last-delivered-id"]
        for group in groups
        if group["name"] not in OURS
    }
    places = {name: EntryId.parse(found or BEGINNING) for name, found in readers.items()}
    slowest = min(places, key=places.__getitem__)
    return Passed(places[slowest], slowest)
