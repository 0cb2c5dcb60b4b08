"""Addresses of Sentinels."""

from typing import Any

import pytest
import redis

from driftgauge.shared.connections.redis_client import connect, connect_async, shown
from driftgauge.shared.connections.sentinels import Sentinels
from driftgauge.shared.errors import ConfigurationError


def test_an_address_names_sentinels_service_database_and_both_passwords() -> None:
    """The password of the servers and that of the Sentinels are two; neither is ever shown."""
    url = "rediss+sentinel://me:s%40cret@a:1,[::1]:2,c/main/3?sentinel_password=other"
    found = Sentinels.parse(url)
    assert found.nodes == (("a", 1), ("::1", 2), ("c", 26379))
    assert (found.service, found.tls) == ("main", True)
    assert found.options == {"db": 3, "username": "me", "password": "s@cret"}
    assert found.own == {"password": "other"}
    assert shown(url) == "rediss+sentinel://a:1,[::1]:2,c/main/3"


@pytest.mark.parametrize(
    "rest", ["a:1", "a:1/", "/main", "a:1,/main", "a:x/main", "a:1/main/x", "a:1/main?password=x"]
)
def test_an_address_that_lacks_something_is_refused(rest: str) -> None:
    """Before anything is connected, with the setting's name."""
    for make in (connect, connect_async):
        with pytest.raises(ConfigurationError, match="DRIFTGAUGE_REDIS_URL cannot be used"):
            make(f"redis+sentinel://{rest}")


class _Kept(redis.Connection):
    """A connection that notes whether it was cut."""

    cut = False

    def disconnect(self, *_: object, **__: object) -> None:
        self.cut = True


def test_only_idle_connections_to_sentinels_are_cut_with_the_idle_ones() -> None:
    """A thread that asks a Sentinel keeps its connection while another one drops idle ones."""
    with connect("redis+sentinel://a:1/main") as client:
        pool: Any = client.connection_pool
        asked = pool._known.sentinels[0].connection_pool
        used, idle = _Kept(), _Kept()  # type: ignore[no-untyped-call]  # redis-py's
        asked._in_use_connections.add(used)
        asked._available_connections.append(idle)
        pool.disconnect(inuse_connections=False)
        assert (used.cut, idle.cut) == (False, True)
        pool.disconnect()
        assert used.cut
