"""The model versions that were published to Redis: schema and reference, read once each."""

import redis

from shared.keys import Keys
from shared.model_registry import PublishedVersion


class PublishedVersions:
    """Versions of one model, fetched when they are first named."""

    def __init__(self, client: redis.Redis, keys: Keys, model: str) -> None:
        self._client = client
        self._key = keys.versions(model)
        self._known: dict[str, PublishedVersion] = {}

    def fetch(self, names: set[str]) -> dict[str, PublishedVersion]:
        """Give those of some versions that were published; the rest is unknown so far."""
        for name in names - self._known.keys():
            packed: bytes | None = self._client.hget(self._key, name)  # type: ignore[assignment]  # bytes, not str
            if packed is not None:
                self._known[name] = PublishedVersion.unpack(packed)
        return {name: self._known[name] for name in names & self._known.keys()}

    def all(self) -> dict[str, PublishedVersion]:
        """Give every published version."""
        names: list[bytes] = self._client.hkeys(self._key)  # type: ignore[assignment]  # bytes, not str
        return self.fetch({name.decode() for name in names})
