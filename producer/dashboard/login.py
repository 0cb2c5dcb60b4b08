"""GET and POST /login, POST /logout: a browser exchanges a key for a session, since a page cannot
send a key.
"""

import re
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response

from driftgauge.producer.access import session
from driftgauge.producer.access.control import for_everybody
from driftgauge.producer.dashboard.rendering import page, root_of
from driftgauge.producer.describing.declared import (
    JSON,
    Answer,
    Content,
    answers,
    in_query,
    takes,
)
from driftgauge.producer.describing.schemas import Named
from driftgauge.producer.http.problems import MEDIA_TYPE, Problem, ProblemDocument, unauthorized
from driftgauge.producer.intake.documents import decode, read_body
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.parts import Parts
from driftgauge.producer.routes.raw_body import RawBodyRoute

MAX_BODY: Final = 8192
MAX_FIELDS: Final = 8
HOME: Final = "/"
OWN_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x7e]{0,2000}")
"""Path on this host: two slashes at its start would name another host."""

NEXT: Final = in_query("next", "Path to go to after the login.")
KEY: Final = {"type": "string", "description": "A key of `driftgauge keys create`."}
LOGIN: Final = Named("Login", {"type": "object", "required": ["key"], "properties": {"key": KEY}})
LOGIN_FORM: Final = Named(
    "LoginForm",
    {
        "type": "object",
        "required": ["key"],
        "properties": {
            "key": KEY,
            "next": {"type": "string", "description": "Path to go to after the login."},
        },
    },
)
REFUSED: Final[Content] = {MEDIA_TYPE: ProblemDocument, "text/html": str}
"""A form gets the page again."""


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=RawBodyRoute, tags=["access"])

    @routes.get("/login")
    @for_everybody
    @takes(None, NEXT)
    @answers({"text/html": str}, "The page.")
    async def get_login_page(request: Request) -> Response:
        """Return the page that asks for a key."""
        return _page(request, request.query_params.get("next", HOME))

    @routes.post("/login")
    @for_everybody
    @takes({JSON: LOGIN, "application/x-www-form-urlencoded": LOGIN_FORM}, ENCODING)
    @answers(
        None,
        "The session's cookie is set.",
        status=204,
        others={
            303: Answer("The same of a form: to the page that was asked for."),
            401: Answer("The key is unknown, revoked or expired.", REFUSED),
        },
    )
    async def log_in(request: Request) -> Response:
        """Exchange a key (a form's or JSON's `key`) for a session's cookie."""
        given, from_form = await _given(request)
        held = parts.access.ring.held
        key = None if held is None else held.find(given["key"].encode("utf-8", "replace"))
        if held is not None and (key is None or key.expired()):
            if from_form:
                return _page(
                    request, given["next"], 401, "This key is unknown, revoked or expired."
                )
            raise unauthorized("This key is unknown, revoked or expired.", invalid=True)
        answer = Response(status_code=204)
        if from_form:
            answer = Response(
                status_code=303, headers={"Location": root_of(request) + own_path(given["next"])}
            )
        if held is not None and key is not None:  # an API without keys needs no session
            seconds = parts.settings.session_hours * 3600
            _set(answer, request, session.seal(held, key, seconds), int(seconds))
        return answer

    @routes.post("/logout")
    @for_everybody
    @answers(None, "The cookie is removed: to the login.", status=303)
    async def log_out(request: Request) -> Response:
        """Forget the browser's session; revoking its key ends it everywhere."""
        answer = Response(status_code=303, headers={"Location": f"{root_of(request)}/login"})
        _set(answer, request, "", 0)
        return answer

    return routes


def own_path(wanted: str) -> str:
    r"""Return the path to go to after the login: the wanted one if it is on this host, else `/`.

    Examples
    --------
    >>> (
    ...     own_path("/reports/latest?model=steel"),
    ...     own_path("//evil.example"),
    ...     own_path("/\\evil.example"),
    ... )
    ('/reports/latest?model=steel', '/', '/')
    """
    return wanted if OWN_PATH.fullmatch(wanted) else HOME


async def _given(request: Request) -> tuple[dict[str, str], bool]:
    """Read key and destination, and whether a form sent them."""
    body = await read_body(request, MAX_BODY)
    from_form = request.headers.get("content-type", "").startswith(
        "application/x-www-form-urlencoded"
    )
    if from_form:
        try:
            fields = parse_qs(
                body.decode("latin-1"),
                max_num_fields=MAX_FIELDS,
                encoding="utf-8",
                errors="replace",
            )
        except ValueError as error:
            raise Problem(
                422, f"The form has more than {MAX_FIELDS} fields; it needs `key`."
            ) from error
        return {
            "key": fields.get("key", [""])[0].strip(),
            "next": fields.get("next", [HOME])[0],
        }, True
    document: Any = decode(body)[0]
    key = document.get("key") if isinstance(document, dict) else None
    if not isinstance(key, str):
        raise Problem(
            422, 'The body must be a form with the field `key`, or JSON such as {"key": "dg_…"}.'
        )
    return {"key": key, "next": HOME}, False


def _page(request: Request, wanted: str, status: int = 200, fault: str = "") -> Response:
    return page(request, "login.html.j2", status=status, next=own_path(wanted), fault=fault)


def _set(answer: Response, request: Request, value: str, seconds: int) -> None:
    """Set the session cookie: HttpOnly and SameSite, and Secure if the request came over TLS."""
    answer.set_cookie(
        session.COOKIE,
        value,
        max_age=seconds,
        path=root_of(request) or "/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
