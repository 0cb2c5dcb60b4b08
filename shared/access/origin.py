"""Protection of browsers' users against requests that another site's page makes in their name.
Pure.

*Cross-site requests*: another site's page may make a browser post here, with the session's cookie,
or to an API on loopback without keys. The browser marks such requests by Sec-Fetch-Site, or, where
it does not send that (plain HTTP to another machine), by Origin. Programs send neither.
https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site

*DNS rebinding*: a page's own name is made to resolve to 127.0.0.1, so that to the browser it is the
same site as an API without keys. The Host header then has that name. Addresses cannot be rebound,
so they are allowed.
"""

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL_NAMES: Final = frozenset({"localhost"})


def host_allowed(host: str, names: Collection[str]) -> bool:
    """Tell whether a Host header names this API.

    Parameters
    ----------
    names
        Names by which it is known, beside localhost, in lower case.

    Examples
    --------
    >>> [
    ...     host_allowed(host, {"monitor"})
    ...     for host in ("localhost:8000", "[::1]:8000", "Monitor", "evil.example", "")
    ... ]
    [True, True, True, False, False]
    """
    name = _name(f"//{host}")
    if name in LOCAL_NAMES or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def cross_site(fetch_site: str | None, origin: str | None, host: str) -> bool:
    """Tell whether a browser says that another site's page sent the request.

    Examples
    --------
    >>> (
    ...     cross_site(None, None, "monitor:8000"),
    ...     cross_site("same-origin", "http://monitor:8000", "monitor:8000"),
    ... )
    (False, False)
    >>> (
    ...     cross_site("same-site", None, "monitor:8000"),
    ...     cross_site(None, "http://evil.example", "monitor:8000"),
    ... )
    (True, True)
    >>> cross_site(None, "null", "monitor:8000")
    True
    """
    if fetch_site is not None:
        return fetch_site not in {"same-origin", "none"}
    return origin is not None and _authority(origin) != host.lower()


def _authority(origin: str) -> str | None:
    """Return host and port of an origin, None for `null` and what is none."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _name(reference: str) -> str:
    try:
        return urlsplit(reference).hostname or ""
    except ValueError:
        return ""
