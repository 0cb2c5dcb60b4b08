"""A log and an archive, as publishers and a worker leave them."""

from pathlib import Path
from typing import Any

import numpy as np
import redis

from driftgauge.shared.archive.archived import OFFSET
from driftgauge.shared.archive.rows import Rows
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.archive.writing import write_groups, write_head
from driftgauge.shared.contract.events import Label, Prediction, encode
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.producer.conftest import SCHEMA

NOON = 1_763_640_000_000
"""2025-11-20 12:00 UTC, in ms."""
MODEL = "linear"


class World:
    """A log and an archive of the model `linear`, as publishers and a worker leave them."""

    def __init__(self, client: redis.Redis, keys: Keys, settings: Settings, folder: Path) -> None:
        self.client, self.keys, self.store = client, keys, FolderStore(folder)
        self.settings = settings.model_copy(update={"archive_url": str(folder)})
        self.log = keys.log(MODEL, 0)
        self.entries: list[tuple[int, Prediction | Label]] = []
        self.end = NOON

    def add(self, event: Prediction | Label) -> None:
        """Publish an event; the entries come a second after each other."""
        at = NOON + 1000 * (len(self.entries) + 1)
        kind = "p" if isinstance(event, Prediction) else "l"
        number = len(self.entries) + 1
        fields: Any = {"t": kind, "p": "api", "s": number, "e": encode(event)}
        self.client.xadd(self.log, fields, id=f"{at}-0")
        self.entries.append((at, event))

    def count(self) -> None:
        """Say that all is counted."""
        self.client.hset(self.keys.count(MODEL, 0), "offset", f"{self.entries[-1][0]}-0")

    def predict(self, name: str, made: float = 1.0, late_ms: int = 0) -> None:
        at = NOON + 1000 * (len(self.entries) + 1)
        self.add(Prediction(name, "1.0.0", at - late_ms, [1.0, 2.0], made, 2.5))

    def archive(self, number: int | None = None) -> None:
        """Archive the first entries, or all, and say so."""
        upto = self.entries[:number]
        part = [one for one in upto if one[0] > self.end]
        rows = Rows(0)
        for at, event in part:
            place: Any = [at], [0]
            if isinstance(event, Label):
                rows.add_labels([event], *place)
            else:
                rows.add_predictions(SCHEMA.stream, [event], *place)
        span = (f"{self.end}-0", f"{upto[-1][0]}-0")
        write_groups(self.store, MODEL, 0, span, rows.groups(), lambda: None)
        self.end = upto[-1][0]
        write_head(self.store, MODEL, "p0", f"{self.end}-0")
        self.client.hset(self.keys.archive(MODEL, 0), OFFSET, f"{self.end}-0")

    def archive_many(self, number: int) -> None:
        """Archive predictions that were never in the log here."""
        places = range(number)
        events = [Prediction(f"b{one}", "1.0.0", NOON + one, [1.0, 2.0], 1.0) for one in places]
        rows, none = Rows(0), np.zeros(number, np.int64)
        rows.add_predictions(SCHEMA.stream, events, NOON + np.arange(number) + 1, none)
        span = (f"{NOON}-0", f"{NOON + number}-0")
        write_groups(self.store, MODEL, 0, span, rows.groups(), lambda: None)

    def damage(self) -> Path:
        """Damage the first file of the archive."""
        damaged = min(Path(self.store.where()).rglob("*.parquet"))
        damaged.write_bytes(b"x" * 50)
        return damaged

    def trim(self, number: int) -> None:
        """Remove the first entries from the log."""
        self.client.xtrim(self.log, minid=f"{self.entries[number][0]}-0", approximate=False)
