"""What the commands that read from Redis share."""

import redis

from driftgauge.shared.connections.redis_client import connect, require
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import ModelNotFound
from driftgauge.shared.settings import Settings, read_settings


def connected() -> tuple[Settings, redis.Redis]:
    """Read the settings and connect; one clear line if Redis does not answer."""
    settings = read_settings()
    client = connect(settings.redis_url)
    require(client, settings.redis_url)
    return settings, client


def published_models(client: redis.Redis, keys: Keys, wanted: str | None) -> list[str]:
    found: set[bytes] = client.smembers(keys.models)  # type: ignore[assignment]  # bytes, not str
    names = sorted(name.decode() for name in found)
    if wanted is None:
        return names
    if wanted not in names:
        raise ModelNotFound(
            f"No model {wanted!r} was published to this Redis (there are: "
            f"{', '.join(names) or 'none'})."
        )
    return [wanted]
