"""Addresses of Sentinels."""

import pytest

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
