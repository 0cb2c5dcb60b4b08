"""Which addresses of the network no message is sent to, whatever a route says.

A route of the policy file is its operator's, so private networks and this machine are allowed. Not
so what only serves to reach the machine's own cloud or neighbours by accident or by a name that
resolves there: link-local addresses, and those at which clouds tell credentials.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

METADATA: Final = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
)
"""Metadata services of clouds that are not link-local: Alibaba, Azure, Oracle, AWS by IPv6."""
_TRANSLATED: Final = ip_network("64:ff9b::/96")
"""IPv6 addresses that a gateway translates to IPv4 ones, which are their last 32 bits."""

Address = IPv4Address | IPv6Address


def forbidden(written: str) -> str:
    """Return why no message is sent to an address, in words; empty if it is allowed.

    Examples
    --------
    >>> forbidden("169.254.169.254"), forbidden("::ffff:169.254.169.254"), forbidden("10.0.0.7")
    ('a link-local address', 'a link-local address', '')
    """
    found = ip_address(written)
    for one in (found, *_within(found)):
        if one.is_link_local:
            return "a link-local address"
        if one in METADATA:
            return "the address of a cloud's metadata"
        if one.is_multicast or one.is_unspecified:
            return "an address of no single machine"
    return ""


def _within(found: Address) -> list[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(found, IPv4Address):
        return []
    teredo = found.teredo[1] if found.teredo else None
    translated = IPv4Address(int(found) & 0xFFFF_FFFF) if found in _TRANSLATED else None
    return [one for one in (found.ipv4_mapped, found.sixtofour, teredo, translated) if one]
