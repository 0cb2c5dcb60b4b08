"""Shared by the commands that read from Redis."""

import redis

from driftgauge.shared.connections.redis_client import connect, require
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.settings import Settings


def connected() -> tuple[Settings, redis.Redis]:
    """Find the settings and connect to Redis; one clear line if it does not answer."""
    settings = located_settings()
    client = connect(settings.redis_url)
    require(client, settings.redis_url)
    return settings, client
