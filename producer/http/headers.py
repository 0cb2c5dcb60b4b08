"""Security headers of every answer, set by one layer around the app.

A page that needs more than its own inline style sets a Content-Security-Policy of its own, which
stays.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri "
    "'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of HTML: no scripts, nothing from other hosts."""
OTHER_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
# a browser that sent no referrer to ourselves either would send forms with `Origin: null`
EVERY: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FIXED: Final = tuple((name.lower().encode(), value.encode()) for name, value in EVERY.items())
_POLICY: Final = b"content-security-policy"
_CACHE: Final = b"cache-control"
_PAGE: Final = (_POLICY, PAGE_POLICY.encode())
_OTHER: Final = (_POLICY, OTHER_POLICY.encode())
_NO_STORE: Final = (_CACHE, b"no-store")


class SecurityHeaders:
    """ASGI middleware that adds the headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _secured(message["headers"])
            await send(message)

        await self._app(scope, receive, secured)


def _secured(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = dict(headers)
    found = [*headers, *_FIXED]
    if _POLICY not in given:
        found.append(_PAGE if given.get(b"content-type", b"").startswith(b"text/html") else _OTHER)
    if _CACHE not in given:
        found.append(_NO_STORE)
    return found
