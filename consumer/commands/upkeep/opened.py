"""Shared by the commands that look after what is stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import redis

from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import shown
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import RedisUnavailable
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.settings import Settings


@contextmanager
def opened() -> Iterator[tuple[Settings, Nodes, Keys]]:
    """Open what the settings name: Redis, which may be a cluster, and the names of the keys. A
    Redis that does not answer, or refuses, is one clear line.
    """
    settings = located_settings()
    nodes = Nodes(settings.redis_url)
    try:
        yield settings, nodes, Keys(settings.key_prefix)
    except redis.RedisError as error:
        raise RedisUnavailable(
            f"Redis at {shown(settings.redis_url)} failed: {error}. Try again; the settings "
            f"DRIFTGAUGE_REDIS_URL and DRIFTGAUGE_KEY_PREFIX say what is worked on."
        ) from error
    finally:
        nodes.close()


def registry_folder(settings: Settings) -> Path | None:
    """Return the folder of the registry; None for one in object storage, which has copies of its
    own, and which is said.
    """
    if settings.registry_url is None:
        return settings.registry_dir
    click.echo(
        f"The registry {settings.registry_url} is no part of it: keep the versions of its bucket.",
        err=True,
    )
    return None
