"""The picture of an incident: the column that it is about, from the snapshot that it names.

Bounded in time and in memory: the latest snapshots of the model are looked through, up to a number
and a size, and what takes longer than `PATIENCE_S` is left to end by itself. At most one picture is
drawn at a time, since each takes a second of a core. Whatever goes wrong, there is no picture, and
the message goes without.
"""

import logging
import threading
from collections.abc import Callable
from io import BytesIO
from typing import Final

import redis

from driftgauge.shared.connections.streams import Backwards, Fields, backwards
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.keys import MODEL_NAME, Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.contract.snapshot_parts import SnapshotName, part_of
from driftgauge.shared.errors import NotInstalled
from driftgauge.shared.reporting.feature_png import feature_of, write_feature_png

log = logging.getLogger("driftgauge.notifying")

PATIENCE_S: Final = 20.0
"""Longest time (s) that a message waits for its picture."""
MOST_SNAPSHOTS: Final = 50
"""Most snapshots that are looked through, from the latest one on."""
MOST_BYTES: Final = 32_000_000
"""Most bytes of them."""
MOST_PICTURE: Final = 1_000_000
"""Most bytes of a picture."""


class Pictures:
    """Draws pictures for all routes of a worker.

    Parameters
    ----------
    client_of
        Returns the Redis client of a key's server.
    keys
        The key names.
    """

    def __init__(self, client_of: Callable[[str], redis.Redis], keys: Keys) -> None:
        self._client_of, self._keys = client_of, keys
        self._one_at_a_time = threading.Lock()
        self._can_draw = True

    def draw(self, incident: Incident) -> bytes | None:
        """Return the picture of an incident as PNG; None if there is none to be had in time."""
        names = names_of(incident)
        if not self._can_draw or not incident.snapshot or not names:
            return None
        if not self._one_at_a_time.acquire(timeout=PATIENCE_S):
            return None
        found: list[bytes] = []
        thread = threading.Thread(
            target=self._draw, args=(incident, names, found), name="drawing", daemon=True
        )
        thread.start()
        thread.join(PATIENCE_S)
        return found[0] if found else None

    def _draw(self, incident: Incident, names: list[str], found: list[bytes]) -> None:
        try:
            picture = self._drawn(incident, names)
            if picture is not None and len(picture) <= MOST_PICTURE:
                found.append(picture)
        except NotInstalled as error:
            self._can_draw = False
            log.info("Messages have no pictures. %s", error)
        except Exception as error:  # noqa: BLE001  the message goes without; its words may be anybody's
            log.warning("A picture could not be drawn (%s)", type(error).__name__)
        finally:
            self._one_at_a_time.release()

    def _drawn(self, incident: Incident, names: list[str]) -> bytes | None:
        snapshot = self._snapshot(incident.model, incident.snapshot)
        feature = None if snapshot is None else feature_of(snapshot, names)
        if snapshot is None or feature is None:
            return None
        file = BytesIO()
        write_feature_png(snapshot, feature, file)
        return file.getvalue()

    def _snapshot(self, model: str, name: str) -> Snapshot | None:
        """Return a snapshot by its id; None if it is not among the latest ones."""
        if not MODEL_NAME.fullmatch(model):
            return None

        def decode(fields: Fields) -> bytes | None:
            event = fields.get(b"e", b"")
            return event if part_of(event, SnapshotName).id == name else None

        stream = self._keys.snapshots(model)
        walk = Backwards(decode, most_entries=MOST_SNAPSHOTS, most_bytes=MOST_BYTES)
        for _, event in backwards(self._client_of(stream), stream, walk):
            return part_of(event, Snapshot)
        return None


def names_of(incident: Incident) -> list[str]:
    """Return the columns that an incident is about: the cause's first, then the most changed."""
    return [name for name in (incident.cause.feature, *incident.features) if name]
