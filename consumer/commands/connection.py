"""Shared by the commands that read from Redis."""

import click
import redis

from driftgauge.shared.connections.api_client import DEFAULT_URL
from driftgauge.shared.connections.redis_client import connect, require
from driftgauge.shared.settings import Settings, read_settings

url_option = click.option("--url", default=DEFAULT_URL, show_default=True, help="The API.")


def connected() -> tuple[Settings, redis.Redis]:
    """Read the settings and connect to Redis; one clear line if it does not answer."""
    settings = read_settings()
    client = connect(settings.redis_url)
    require(client, settings.redis_url)
    return settings, client
