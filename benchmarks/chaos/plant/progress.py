"""How far counting and judging have come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import redis

from benchmarks.chaos.plant.model import keys_of
from driftgauge.shared.connections.streams import newest
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.registry.registry import PublishedVersion


@dataclass(frozen=True)
class Progress:
    """Progress of counting and judging: (position, end) of each stream that they read."""

    places: dict[str, tuple[str, str]]

    @property
    def all_counted(self) -> bool:
        """Whether nothing is left to read. Panes that are counted anew from a log that was trimmed
        are fewer than those that were judged.
        """
        return all(
            EntryId.parse(place) >= EntryId.parse(end) for place, end in self.places.values()
        )


def progress(client: redis.Redis, versions: Mapping[str, PublishedVersion]) -> Progress:
    """Read the progress of the stages of all models."""
    places = {}
    for model, version in versions.items():
        keys = keys_of(version)
        state: Any = client.hget(keys.judge(model), "state")
        judged = msgspec.json.decode(state)["offsets"] if state else {}
        for partition in range(version.manifest.partitions):
            log, panes = keys.log(model, partition), keys.panes(model, partition)
            offset: Any = client.hget(keys.count(model, partition), "offset")
            places[log] = (offset or BEGINNING.encode()).decode(), _last(client, log)
            places[panes] = judged.get(str(partition), BEGINNING), _last(client, panes)
    return Progress(places)


def set_back(client: redis.Redis, versions: Mapping[str, PublishedVersion]) -> set[str]:
    """Return the models of which panes were judged that are not there (any more)."""
    places = progress(client, versions).places
    found = set()
    for model, version in versions.items():
        for partition in range(version.manifest.partitions):
            judged, last = places[keys_of(version).panes(model, partition)]
            if EntryId.parse(judged) > EntryId.parse(last):
                found.add(model)
    return found


def _last(client: redis.Redis, stream: str) -> str:
    found = newest(client, stream)
    return BEGINNING if found is None else str(found[0])
