"""The address of a cluster, and what its nodes say of each other."""

import pytest
import redis

from driftgauge.shared.connections.cluster import ClusterAddress, Slots
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.errors import ConfigurationError

TLS = "rediss+cluster://api:secret@[::1]:7001?ssl_ca_certs=/ca.pem&ssl_certfile=/api.pem"


def test_user_and_tls_options_hold_for_every_node() -> None:
    """The worker's connections to a node that another one names have the address's user, password,
    certificates and brackets.
    """
    address = ClusterAddress.parse(TLS)
    url = address.named(b"fd00::2", 7002, address.nodes[0])
    assert url == "rediss://api:secret@[fd00::2]:7002?ssl_ca_certs=/ca.pem&ssl_certfile=/api.pem"
    moved = redis.exceptions.MovedError("5 fd00::3:7003")
    assert address.redirected(moved, url).startswith("rediss://api:secret@[fd00::3]:7003?")


@pytest.mark.parametrize("host", [None, b"", b"?"])
def test_a_node_without_a_name_is_where_it_was_asked(host: bytes | None) -> None:
    """A node that does not know its name, or may not tell it, is at the host that was asked; the
    others beside it have their own ports.
    """
    address = ClusterAddress.parse("redis+cluster://entry:7001")
    slots = Slots.told([[0, 5, [host, 7002, b"id"]]], address, "redis://entry:7001")
    assert slots.masters == ["redis://entry:7002"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+cluster://a:7001/3", "no database 3"),
        ("redis+cluster://a:7001,", "no host and port"),
        ("redis+cluster://", "no host and port"),
    ],
)
def test_a_wrong_address_is_refused_before_anything_is_asked(url: str, why: str) -> None:
    """The error names the setting and what is wrong."""
    with pytest.raises(ConfigurationError, match=f"DRIFTGAUGE_REDIS_URL cannot be used: .*{why}"):
        Nodes(url)
