"""Addresses that count as one client, for the rate of requests and the number of connections."""

import ipaddress
from functools import lru_cache
from typing import Final

REMEMBERED: Final = 10_000
IPV6_SITE: Final = 64
"""Leading bits of an IPv6 address that make one caller: whoever holds a network of this size
chooses freely among the addresses in it.
"""


@lru_cache(maxsize=REMEMBERED)
def site_of(address: str) -> str:
    """Return the client that an address counts as; empty for this machine, which has no limit.

    Examples
    --------
    >>> site_of("203.0.113.7"), site_of("2001:db8::1"), site_of("127.0.0.1")
    ('203.0.113.7', '2001:db8::/64', '')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a unix socket's, or a test's
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return site_of(str(parsed.ipv4_mapped))
        return (
            ""
            if parsed.is_loopback
            else str(ipaddress.ip_network((parsed, IPV6_SITE), strict=False))
        )
    return "" if parsed.is_loopback else str(parsed)
