"""GET /docs and /openapi.json: all routes, with the scope that each needs.

The page is made here: the framework's own loads scripts from other hosts, which would run beside a browser's session, and
would show nothing without a network.
"""

from typing import Any, Final

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from jinja2 import Environment

from producer.access import Guarded, needs
from producer.parts import Parts

SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `driftgauge keys create`."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
PAGE: Final = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Driftgauge: the API</title>
<style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
section{border-top:1px solid #8886;padding:.5rem 0}h2{font:600 1rem ui-monospace,monospace;margin:.25rem 0}
pre{overflow:auto;background:#8882;padding:.5rem}dt{font-family:ui-monospace,monospace}small{font-weight:400}
</style>
<main><h1>Driftgauge: the API</h1>
<p>Predictions in, events out. Errors are <code>application/problem+json</code> (RFC 9457). If the API has keys, send
yours as <code>Authorization: Bearer KEY</code>. Complete, for programs: <a href="/openapi.json">/openapi.json</a>.</p>
{% for route in routes %}
<section><h2>{{ route.method }} {{ route.path }}
<small>{{ "scope " + route.scopes | join(" or ") if route.scopes else "for everybody" }}</small></h2>
<p>{{ route.text }}</p>
{% if route.parameters %}
<dl>{% for one in route.parameters %}
<dt>{{ one.name }}</dt><dd>{{ one.in }}{{ ", required" if one.required }}</dd>{% endfor %}</dl>
{% endif %}
{% if route.example %}<pre>{{ route.example }}</pre>{% endif %}
</section>
{% endfor %}
</main></html>
""")


def router(_: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, include_in_schema=False)

    @routes.get("/openapi.json")
    @needs("read", "predict")
    async def openapi(request: Request) -> Response:
        """Give the API's description in OpenAPI."""
        return Response(msgspec.json.encode(described(request.app)), media_type="application/json")

    @routes.get("/docs")
    @needs("read", "predict")
    async def docs(request: Request) -> Response:
        """Give it as a page."""
        return Response(PAGE.render(routes=_routes(described(request.app))), media_type="text/html")

    return routes


def described(app: FastAPI) -> dict[str, Any]:
    """Give the OpenAPI document, with the ways in which a key is sent."""
    document = app.openapi()
    document.setdefault("components", {})["securitySchemes"] = SCHEMES
    return document


def _routes(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "method": method.upper(),
            "path": path,
            "scopes": list(dict.fromkeys(scope for way in route.get("security", ()) for (scope,) in way.values())),
            "text": route.get("description", ""),
            "parameters": route.get("parameters", ()),
            "example": _example(route),
        }
        for path, methods in document["paths"].items()
        for method, route in methods.items()
    ]


def _example(route: dict[str, Any]) -> str:
    media = route.get("requestBody", {}).get("content", {}).get("application/json", {})
    example = media.get("schema", {}).get("example")
    return "" if example is None else msgspec.json.format(msgspec.json.encode(example), indent=2).decode()
