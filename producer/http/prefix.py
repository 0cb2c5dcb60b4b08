"""Path prefix below which a proxy serves the API, from DRIFTGAUGE_ROOT_PATH or a trusted proxy's
header; a layer around the app.

Proxies differ in whether they strip the prefix before they pass a request on, so requests with and
without it are the same here; what the API links to has it.
https://asgi.readthedocs.io/en/latest/specs/www.html (root_path)
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from driftgauge.producer.http.forwarded import PREFIX


class Prefixed:
    """ASGI middleware that separates the prefix from the path.

    Parameters
    ----------
    root
        Prefix that begins with a slash and does not end with one; empty for none. The header of a
        trusted proxy has priority, since one API may be reached in several ways.
    """

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its prefix apart."""
        root = scope.get(PREFIX) or self._root
        if root and scope["type"] == "http":
            path = scope["path"]
            whole = path if f"{path}/".startswith(f"{root}/") else root + path
            scope["root_path"], scope["path"] = (
                root,
                whole,
            )  # in place: the page of an error 500 is made outside of us
        await self._app(scope, receive, send)
