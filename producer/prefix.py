"""The path below which a proxy serves the API: a layer around the app, there only if DRIFTGAUGE_ROOT_PATH says so.

Proxies differ in whether they strip the prefix before they pass a request on, so requests with and without it are the same
here; what the API links to has it. https://asgi.readthedocs.io/en/latest/specs/www.html (root_path)
"""

from starlette.types import ASGIApp, Receive, Scope, Send


class Prefixed:
    """The layer.

    Parameters
    ----------
    root
        Begins with a slash and does not end with one.
    """

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its prefix apart."""
        if scope["type"] == "http":
            path = scope["path"]
            whole = path if f"{path}/".startswith(f"{self._root}/") else self._root + path
            scope = {**scope, "root_path": self._root, "path": whole}
        await self._app(scope, receive, send)
