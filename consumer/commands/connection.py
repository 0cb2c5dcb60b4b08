"""Shared by the commands that read from Redis."""

from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.settings import Settings


def connected() -> tuple[Settings, Nodes]:
    """Find the settings and connect to Redis; one clear line if it does not answer."""
    settings = located_settings()
    nodes = Nodes(settings.redis_url)
    nodes.require(Keys(settings.key_prefix).models)
    return settings, nodes
