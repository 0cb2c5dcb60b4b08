"""A pipeline's state in Redis, written as publishers and workers would."""

from typing import Any

import msgspec
import redis

from driftgauge.shared.contract.alert import Alert, CloudEvent
from driftgauge.shared.contract.events import MONITOR_GROUP
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.losses import HOLES_FIELD, Hole


class Written:
    """One partition of one model."""

    def __init__(
        self, client: redis.Redis, keys: Keys, model: str = "linear", partition: int = 0
    ) -> None:
        self.client, self.keys, self.model, self.partition = client, keys, model, partition
        client.sadd(keys.models, model)

    def publish(self, events: int = 1) -> str:
        """Append entries; gives the last id."""
        log = self.keys.log(self.model, self.partition)
        entry: Any = None
        for number in range(events):
            entry = self.client.xadd(log, {"t": "p", "p": "a", "s": number, "e": "{}"})
        return str(entry.decode())

    def count(self, offset: str | None = None, **counters: Any) -> None:
        """Commit counters, and an offset."""
        key = self.keys.count(self.model, self.partition)
        self.client.hset(key, "counters", msgspec.json.encode(counters))
        if offset is not None:
            log = self.keys.log(self.model, self.partition)
            self.client.hset(key, "offset", offset)
            if not self.client.xinfo_groups(log):
                self.client.xgroup_create(log, MONITOR_GROUP, id="0-0")
            self.client.xgroup_setid(log, MONITOR_GROUP, offset)

    def miss(self, *holes: Hole) -> None:
        """Commit the numbers that have not arrived."""
        key = self.keys.count(self.model, self.partition)
        self.client.hset(key, HOLES_FIELD, msgspec.json.encode(holes))  # type: ignore[arg-type]  # bytes

    def own(self, owned: bool = True) -> None:  # noqa: FBT001, FBT002  reads well
        key = self.keys.owner(self.model, self.partition)
        self.client.set(key, "token") if owned else self.client.delete(key)

    def alerts(self) -> list[Alert]:
        entries: Any = self.client.xrange(self.keys.alerts(self.model))
        events = [msgspec.json.decode(fields[b"e"], type=CloudEvent) for _, fields in entries]
        return [msgspec.json.decode(event.data, type=Alert) for event in events]

    def transitions(self) -> list[str]:
        return [f"{alert.rule} {alert.state}" for alert in self.alerts()]
