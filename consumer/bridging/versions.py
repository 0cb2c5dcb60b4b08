"""The versions of a model that a bridge reads messages by."""

from contextlib import suppress
from typing import Any, Final

import redis

from driftgauge.consumer.bridging.messages import Usable
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData, DriftgaugeError, ModelNotFound
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.settings import Settings
from driftgauge.shared.versions.manifest import Manifest

MOST_VERSIONS: Final = 1000
"""Most names of versions that are remembered until the next look."""


class Versions:
    """The versions of a model in the registry folder, published before their first event.

    Parameters
    ----------
    client
        Redis client of the key of the versions.
    """

    def __init__(self, client: redis.Redis, settings: Settings, model: str, keys: Keys) -> None:
        self._registry = registry_of(settings)
        self._client = client
        self._keys = keys
        self._model = model
        self._secret = settings.pii_secret
        self._known: dict[str, Usable | None] = {}
        self._packed: dict[str, bytes] = {}
        self.production = self._registry.production(model)
        self.manifest: Manifest = self._registry.manifest(model, self.production)
        self.of(None)

    def look(self) -> None:
        """Follow a promotion, and publish again what Redis has lost."""
        with suppress(DriftgaugeError, OSError):  # the one that is known goes on
            self.production = self._registry.production(self._model)
        self._known = {name: one for name, one in self._known.items() if one is not None}
        self.of(None)
        self._publish()

    def of(self, name: str | None) -> Usable | None:
        """Return a version, that in production for None; None if there is none that can be read,
        which is not asked for again before the next look.
        """
        wanted = name or self.production
        if wanted not in self._known:
            if len(self._known) >= MOST_VERSIONS:  # strangers' names have a bound
                return None
            self._known[wanted] = self._read(wanted)
        return self._known[wanted]

    def _read(self, name: str) -> Usable | None:
        try:
            found = self._registry.load(self._model, name)
        except (BadData, ModelNotFound):
            return None
        self._packed[name] = found.pack()
        self._publish()
        return Usable(name, found.schema, found.schema.completing(self._secret))

    def _publish(self) -> None:
        key, packed = self._keys.versions(self._model), self._packed
        there: Any = self._client.hmget(key, list(packed))
        absent: dict[Any, Any] = {
            name: packed[name] for name, known in zip(packed, there, strict=True) if known is None
        }
        if absent:
            self._client.sadd(self._keys.models, self._model)
            self._client.hset(key, mapping=absent)
