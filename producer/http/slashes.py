"""Leads on a request whose path has a slash too much or too few at its end.

The framework does that too, but names the host that the request names, whatever it is. A location
without a host leads to the host that the client has asked already, by whatever proxies.
"""

from urllib.parse import quote

from starlette.responses import RedirectResponse
from starlette.routing import Match, Router
from starlette.types import Receive, Scope, Send


class SlashRedirect:
    """ASGI app for the requests that no route takes."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead a request on, or answer that there is nothing at its path."""
        path: str = scope["path"]
        other = path.rstrip("/") if path.endswith("/") else f"{path}/"
        if scope["type"] == "http" and other and self._takes({**scope, "path": other}):
            query = scope["query_string"].decode("latin-1")
            # two slashes at its beginning would name another host
            place = quote("/" + other.lstrip("/\\")) + (f"?{query}" if query else "")
            await RedirectResponse(place)(scope, receive, send)
            return
        await self._router.not_found(scope, receive, send)

    def _takes(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self._router.routes)
