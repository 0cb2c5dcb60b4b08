"""Errors as a browser's user sees them: a page with what was wrong, where, and what to do next;
programs get the problem.

A page is given to who asks for one: a GET whose Accept names HTML. What htmx asks for in a page
gets the problem, since it would stand in a part of that page.
"""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from fastapi import Request, Response

from driftgauge.producer.access.control import CALLER, UNTRUSTED
from driftgauge.producer.dashboard.rendering import page, root_of
from driftgauge.producer.http.problems import Problem

NEXT: Final = {
    401: "Log in with a key that is valid.",
    403: "Log in with a key that may, or ask whoever makes the keys.",
    404: "Check the address, or begin at the overview.",
    429: "Wait a second, then load the page again.",
    500: "Load the page again. If it fails again, look for the request's id in the log of the API.",
    503: "Load the page again in a moment.",
}
"""What the user can do next, by HTTP status."""
OTHERWISE: Final = "Correct the address, or begin at the overview."
LOG_IN: Final = frozenset({401, 403})
AGAIN: Final = frozenset({429, 500, 502, 503, 504})
ERROR: Final = 400


def error_answer(request: Request, problem: Problem) -> Response:
    """Answer with an error: as a page to a browser that asks for one, as a problem document to
    everybody else.
    """
    if problem.status < ERROR or not _wants_page(request):
        return problem.response()
    try:
        answer = _page(request, problem)
    except Exception:  # a page that cannot be made must not hide what it would say
        if problem.status != HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return problem.response()
    answer.headers.update(problem.headers or {})
    return answer


def _wants_page(request: Request) -> bool:
    return (
        request.method in {"GET", "HEAD"}
        and "text/html" in request.headers.get("accept", "")
        and "hx-request" not in request.headers
    )


def _page(request: Request, problem: Problem) -> Response:
    request.scope.setdefault(
        CALLER, UNTRUSTED
    )  # no route was found, so the request's sender was not asked for
    query = f"?{request.url.query}" if request.url.query else ""
    path = "/" + request.scope["path"].removeprefix(root_of(request)).lstrip(
        "/\\"
    )  # two slashes would name another host
    return page(
        request,
        "error.html.j2",
        status=problem.status,
        vary="Accept, HX-Target",
        code=problem.status,
        title=HTTPStatus(problem.status).phrase,
        detail=problem.detail,
        errors=problem.errors,
        address=f"{path}{query}",
        link=f"{quote(path)}{query}",
        next_step=NEXT.get(problem.status, OTHERWISE),
        log_in=problem.status in LOG_IN,
        again=problem.status in AGAIN,
        request_id=request.scope.get("request_id", ""),
    )
