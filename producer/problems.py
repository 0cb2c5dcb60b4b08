"""Every error answer of the API is a problem document (RFC 9457), the framework's own included.

A detail says what was wrong and what to do; it never holds a stack trace or another request's values.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
import redis
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from producer import headers
from shared.schema import FieldError, pointer

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 100
RETRY_AFTER = {"Retry-After": "2"}

logger = logging.getLogger("driftgauge.producer")


class Problem(Exception):
    """An error answer.

    Parameters
    ----------
    status
        HTTP status.
    detail
        What was wrong and what to do.
    errors
        Each bad field of the request.
    members
        What else the document has (RFC 9457, extension members).
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.members = members or {}

    def response(self) -> Response:
        """Give it as an answer."""
        document: dict[str, object] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": _safe(self.detail),
            **self.members,
        }
        if self.errors:
            document["errors"] = [{"field": _safe(error.field), "message": _safe(error.message)} for error in self.errors]
        return Response(msgspec.json.encode(document), self.status, self.headers, MEDIA_TYPE)


def invalid(errors: Sequence[FieldError]) -> Problem:
    """Make the answer to a request with bad fields.

    Examples
    --------
    >>> invalid([FieldError("/features/x", "is missing")]).detail
    '1 field of the request cannot be used; nothing was done with it.'
    """
    many = "1 field" if len(errors) == 1 else f"{len(errors)} fields"
    more = f" The first {MAX_ERRORS} are named, {len(errors) - MAX_ERRORS} more are not." * (len(errors) > MAX_ERRORS)
    return Problem(422, f"{many} of the request cannot be used; nothing was done with it.{more}", list(errors)[:MAX_ERRORS])


def unauthorized(detail: str, *, invalid: bool) -> Problem:
    """Make the answer to a request without a usable key (RFC 6750).

    Parameters
    ----------
    invalid
        Whether one was sent.
    """
    challenge = 'Bearer realm="driftgauge"' + ', error="invalid_token"' * invalid
    more = " `driftgauge keys create` makes keys."
    return Problem(401, detail + more, (), {"WWW-Authenticate": challenge})


def forbidden(key: str, scopes: Sequence[str]) -> Problem:
    """Make the answer to a key that has none of the scopes of which it needs one (RFC 6750)."""
    challenge = f'Bearer realm="driftgauge", error="insufficient_scope", scope="{scopes[0]}"'
    detail = f"The key {key!r} lacks the scope {' or '.join(scopes)}. `driftgauge keys create` makes a key that has it."
    return Problem(403, detail, (), {"WWW-Authenticate": challenge})


def rate_exceeded(caller: str, per_second: int) -> Problem:
    """Make the answer to a caller that has had its requests of this second."""
    detail = (
        f"{caller} has had its {per_second} requests of this second (DRIFTGAUGE_REQUESTS_PER_SECOND). Send several events "
        "with one request (POST /events), or ask again after the time in Retry-After."
    )
    return Problem(429, detail, (), {"Retry-After": "1"})


def too_large(most_bytes: int) -> Problem:
    """Make the answer to a body that is too large."""
    return Problem(
        413, f"The body is larger than {most_bytes} bytes, the limit here (DRIFTGAUGE_…_MAX_BYTES); send less at a time."
    )


def install(app: FastAPI) -> None:
    """Make the app answer every error as a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(redis.ConnectionError, _redis_away)
    app.add_exception_handler(redis.TimeoutError, _redis_away)
    app.add_exception_handler(Exception, _unexpected)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  what it is registered for
    return error.response()


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  what it is registered for
    details = {
        404: f"There is nothing at {request.url.path}; the paths are listed at /docs.",
        405: f"{request.method} is not possible at {request.url.path}; the methods are listed at /docs.",
    }
    return Problem(error.status_code, details.get(error.status_code, str(error.detail)), (), error.headers).response()


async def _validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  what it is registered for
    faults = []
    for fault in error.errors():
        at = ""
        for part in fault["loc"]:
            at = pointer(at, str(part))
        faults.append(FieldError(at, str(fault["msg"])))
    return invalid(faults).response()


async def _redis_away(_request: Request, _error: Exception) -> Response:
    return Problem(503, "Redis does not answer, so this cannot be read now. Predictions go on.", (), RETRY_AFTER).response()


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("Request %s failed: %s.", request.scope.get("request_id", "?"), type(error).__name__)
    own = {"X-Request-ID": request.scope["request_id"]} if "request_id" in request.scope else {}
    return Problem(500, "The API failed at this request; its log says where.", (), {**headers.EVERY, **own}).response()


def _safe(text: str) -> str:
    """Make text that a client sent encodable: JSON may carry halves of surrogate pairs."""
    return text.encode("utf-8", "backslashreplace").decode()
