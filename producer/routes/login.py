"""GET and POST /login, POST /logout: a browser exchanges a key for a session, since a page cannot send a key."""

import re
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from jinja2 import Environment

from producer import session
from producer.access import for_everybody
from producer.documents import decode, read_body
from producer.parts import Parts
from producer.problems import Problem, unauthorized
from producer.routes.raw import RawRoute

MAX_BODY: Final = 8192
MAX_FIELDS: Final = 8
HOME: Final = "/docs"
OWN_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x7e]{0,2000}")
"""A path of this API: two slashes at its start would name another host."""
PAGE: Final = Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Driftgauge: log in</title>
<style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:24rem;margin:15vh auto;padding:0 1rem}
label{display:block}input,button{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;margin:.25rem 0 1rem}
[role=alert]{color:#c5221f}
</style>
<main><h1>Driftgauge</h1>
{% if fault %}<p role="alert">{{ fault }}</p>{% endif %}
<form method="post" action="/login"><input type="hidden" name="next" value="{{ next }}">
<label>API key<input name="key" type="password" autocomplete="current-password" required autofocus></label>
<button>Log in</button></form>
<p>A key with the scope <i>read</i> is made with <code>driftgauge keys create NAME --scope read</code>.</p></main></html>
""")


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=RawRoute, tags=["access"])

    @routes.get("/login")
    @for_everybody
    async def form(request: Request) -> Response:
        """Give the page that asks for a key."""
        return _page(request.query_params.get("next", HOME))

    @routes.post("/login")
    @for_everybody
    async def login(request: Request) -> Response:
        """Exchange a key (a form's or JSON's `key`) for a session's cookie."""
        given, from_form = await _given(request)
        held = parts.access.ring.held
        key = None if held is None else held.find(given["key"].encode("utf-8", "replace"))
        if held is not None and (key is None or key.expired()):
            if from_form:
                return _page(given["next"], 401, "This key is unknown, revoked or expired.")
            raise unauthorized("This key is unknown, revoked or expired.", invalid=True)
        answer = Response(status_code=204)
        if from_form:
            answer = Response(status_code=303, headers={"Location": own_path(given["next"])})
        if held is not None and key is not None:  # an API without keys needs no session
            seconds = parts.settings.session_hours * 3600
            _set(answer, request, session.seal(held, key, seconds), int(seconds))
        return answer

    @routes.post("/logout")
    @for_everybody
    async def logout(request: Request) -> Response:
        """Forget the browser's session; revoking its key ends it everywhere."""
        answer = Response(status_code=303, headers={"Location": "/login"})
        _set(answer, request, "", 0)
        return answer

    return routes


def own_path(wanted: str) -> str:
    r"""Give where to go after the login: a path of this API, and of nobody else.

    Examples
    --------
    >>> own_path("/reports/latest?model=steel"), own_path("//evil.example"), own_path("/\\evil.example")
    ('/reports/latest?model=steel', '/docs', '/docs')
    """
    return wanted if OWN_PATH.fullmatch(wanted) else HOME


async def _given(request: Request) -> tuple[dict[str, str], bool]:
    """Read key and destination, and whether a form sent them."""
    body = await read_body(request, MAX_BODY)
    from_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if from_form:
        try:
            fields = parse_qs(body.decode("latin-1"), max_num_fields=MAX_FIELDS, encoding="utf-8", errors="replace")
        except ValueError as error:
            raise Problem(422, f"The form has more than {MAX_FIELDS} fields; it needs `key`.") from error
        return {"key": fields.get("key", [""])[0].strip(), "next": fields.get("next", [HOME])[0]}, True
    document: Any = decode(body)[0]
    key = document.get("key") if isinstance(document, dict) else None
    if not isinstance(key, str):
        raise Problem(422, 'The body must be a form with the field `key`, or JSON such as {"key": "dg_…"}.')
    return {"key": key, "next": HOME}, False


def _page(wanted: str, status: int = 200, fault: str = "") -> Response:
    return Response(PAGE.render(next=own_path(wanted), fault=fault), status, media_type="text/html")


def _set(answer: Response, request: Request, value: str, seconds: int) -> None:
    """Set the cookie: not for scripts, not for other sites' pages, and once it came by TLS not without."""
    answer.set_cookie(
        session.COOKIE,
        value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
