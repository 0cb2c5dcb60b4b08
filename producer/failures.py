"""Error handlers: the one place where each error that a route raises, the framework's included,
becomes an answer.
"""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import redis
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route

from driftgauge.producer.dashboard.error_page import error_answer
from driftgauge.producer.http import headers
from driftgauge.producer.http.problems import RETRY_AFTER, Problem, invalid
from driftgauge.shared.connections.refusals import ADVICE, refusal
from driftgauge.shared.reference.schema import FieldError, pointer

CLOSED_BY_CLIENT: Final = 499

logger = logging.getLogger("driftgauge.producer")


def install(app: FastAPI) -> None:
    """Make the app answer every error with a problem document, or a page with the same content."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(redis.ConnectionError, _redis_away)
    app.add_exception_handler(redis.TimeoutError, _redis_away)
    app.add_exception_handler(redis.ResponseError, _redis_refuses)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  what it is registered for
    return error_answer(request, error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  what it is registered for
    details = {
        404: f"There is nothing at {request.url.path}; the paths are listed at /docs.",
        405: (
            f"{request.method} is not possible at {request.url.path}; "
            "the methods are listed at /docs."
        ),
    }
    detail = details.get(error.status_code, str(error.detail))
    headers = {**(error.headers or {})}
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods_of(request))
    return error_answer(request, Problem(error.status_code, detail, (), headers))


def _methods_of(request: Request) -> list[str]:
    """Return the methods of all routes of a path: the framework names those of the first one."""
    routes: Sequence[Route] = request.app.state.routes
    found = (one.methods or () for one in routes if one.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for methods in found for method in methods})


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  what it is registered for
    faults = []
    for fault in error.errors():
        at = ""
        for part in fault["loc"]:
            at = pointer(at, str(part))
        faults.append(FieldError(at, str(fault["msg"])))
    return error_answer(request, invalid(faults))


async def _redis_away(request: Request, _: Exception) -> Response:
    detail = "Redis does not answer, so this cannot be read now. Predictions go on."
    return error_answer(request, Problem(503, detail, (), RETRY_AFTER))


async def _redis_refuses(request: Request, error: Exception) -> Response:
    """Answer what Redis refuses to write (full, read-only, without its disk) as a Redis that is
    away; any other error that it answers is ours.
    """
    code = refusal(error)
    if not code:
        raise error
    detail = f"Nothing was done: {ADVICE[code]}. Predictions go on."
    return error_answer(request, Problem(503, detail, (), RETRY_AFTER))


async def _gone(_: Request, __: Exception) -> Response:
    """Note in log and metrics that the client left before its request was whole; nobody reads
    it.
    """
    return Response(status_code=CLOSED_BY_CLIENT)


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.error(
        "Request %s failed: %s.", request.scope.get("request_id", "?"), type(error).__name__
    )
    own = {"X-Request-ID": request.scope["request_id"]} if "request_id" in request.scope else {}
    detail = "The API failed at this request; its log says where."
    return error_answer(
        request, Problem(500, detail, (), {**headers.EVERY, "Cache-Control": "no-store", **own})
    )
