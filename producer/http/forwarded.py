"""Headers of trusted proxies: the client (X-Forwarded-For, -Proto) and the path prefix
(X-Forwarded-Prefix) of a request.

Anybody can send these headers, so they are believed only of the addresses in FORWARDED_ALLOW_IPS
(127.0.0.1 if it is not set), uvicorn's own setting. The prefix has to be read outside of uvicorn's
layer, which replaces the proxy's address by the client's.
"""

import re
from typing import Any, Final, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

PREFIX: Final = "driftgauge.prefix"
"""Key of the prefix in the request's scope, for prefix.py."""
HEADER: Final = b"x-forwarded-prefix"
MAX_PREFIX: Final = 200
_PREFIX: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")


class Trusted(Protocol):
    """The addresses and networks of trusted proxies."""

    def __contains__(self, address: str, /) -> bool:
        """Tell whether an address is one of them."""


class Forwarded:
    """ASGI middleware around the whole app.

    Parameters
    ----------
    app
        The wrapped ASGI app.
    trusted
        Addresses and networks of the proxies, separated by commas; `*` for all.

    Attributes
    ----------
    trusted
        The same, to look an address up in.
    """

    def __init__(self, app: ASGIApp, trusted: str) -> None:
        self._others: Any = ProxyHeadersMiddleware(app, trusted)  # type: ignore[arg-type]  # uvicorn's scopes are narrower
        self.trusted: Trusted = self._others.trusted_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with what its proxy says of it."""
        if scope["type"] == "http":
            client = scope.get("client")
            if client is not None and client[0] in self.trusted:
                scope[PREFIX] = prefix_of(
                    [value for name, value in scope["headers"] if name == HEADER]
                )
        await self._others(scope, receive, send)


def prefix_of(given: list[bytes]) -> str:
    """Read the header's values (of several proxies, the outermost first); empty without any, or if
    the result cannot be a path.

    Examples
    --------
    >>> prefix_of([b"/monitor/"]), prefix_of([b"/team, /drift"]), prefix_of([b"/a", b"/b"])
    ('/monitor', '/team/drift', '/a/b')
    >>> (
    ...     prefix_of([]),
    ...     prefix_of([b"/"]),
    ...     prefix_of([b"//evil.example"]),
    ...     prefix_of([b"/a/../b"]),
    ...     prefix_of([b"/<b>"]),
    ... )
    ('', '', '', '', '')
    """
    parts = b",".join(given).decode("latin-1").split(",")
    found = "".join(part.strip().removesuffix("/") for part in parts)
    return found if len(found) <= MAX_PREFIX and _PREFIX.fullmatch(found) else ""
