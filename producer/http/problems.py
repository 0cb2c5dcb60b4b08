"""Error answers as problem documents (RFC 9457), among them those that several routes share.

A detail says what was wrong and what to do; it never holds a stack trace or another request's
values.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from fastapi import Response

from driftgauge.shared.reference.schema import FieldError

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 100
RETRY_AFTER = {"Retry-After": "2"}


class FieldProblem(msgspec.Struct, frozen=True):
    """A field or parameter that cannot be used.

    Parameters
    ----------
    field
        JSON pointer to it, such as `/features/age` or `/query/limit`.
    message
        What is wrong with it.
    """

    field: str
    message: str


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error answer (RFC 9457); some operations add members of their own.

    Parameters
    ----------
    type
        Always `about:blank`: the status says what kind of problem it is.
    title
        The status in words.
    detail
        What was wrong, and what to do next.
    errors
        Each bad field or parameter, at most a hundred.
    """

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []


class Problem(Exception):
    """An error answer.

    Parameters
    ----------
    status
        HTTP status.
    detail
        Explanation of the error and what to do next.
    errors
        Each bad field of the request.
    members
        Extension members of the document (RFC 9457).
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
        """Return the HTTP response."""
        document: dict[str, object] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": encodable(self.detail),
            **self.members,
        }
        if self.errors:
            document["errors"] = [
                {"field": encodable(error.field), "message": encodable(error.message)}
                for error in self.errors
            ]
        return Response(msgspec.json.encode(document), self.status, self.headers, MEDIA_TYPE)


def invalid(errors: Sequence[FieldError], members: Mapping[str, object] | None = None) -> Problem:
    """Make the answer to a request with bad fields; `members` are extension members of the
    document.

    Examples
    --------
    >>> invalid([FieldError("/features/x", "is missing")]).detail
    '1 field of the request cannot be used; nothing was done with it.'
    """
    many = "1 field" if len(errors) == 1 else f"{len(errors)} fields"
    more = f" The first {MAX_ERRORS} are named, {len(errors) - MAX_ERRORS} more are not." * (
        len(errors) > MAX_ERRORS
    )
    return Problem(
        422,
        f"{many} of the request cannot be used; nothing was done with it.{more}",
        list(errors)[:MAX_ERRORS],
        members=members,
    )


def unauthorized(detail: str, *, invalid: bool) -> Problem:
    """Make the answer to a request without a usable key (RFC 6750).

    Parameters
    ----------
    invalid
        Whether a key was sent, which is then invalid.
    """
    challenge = 'Bearer realm="driftgauge"' + ', error="invalid_token"' * invalid
    more = " `driftgauge keys create` makes keys."
    return Problem(401, detail + more, (), {"WWW-Authenticate": challenge})


def forbidden(key: str, scopes: Sequence[str]) -> Problem:
    """Make the answer to a key that has none of the scopes of which it needs one (RFC 6750)."""
    challenge = f'Bearer realm="driftgauge", error="insufficient_scope", scope="{scopes[0]}"'
    detail = (
        f"The key {key!r} lacks the scope {' or '.join(scopes)}. `driftgauge keys create` makes a "
        "key that has it."
    )
    return Problem(403, detail, (), {"WWW-Authenticate": challenge})


def rate_exceeded(caller: str, per_second: int) -> Problem:
    """Make the answer to a caller that has used up its requests of this second."""
    detail = (
        f"{caller} has had its {per_second} requests of this second "
        f"(DRIFTGAUGE_REQUESTS_PER_SECOND). Send several events "
        "with one request (POST /events), or ask again after the time in Retry-After."
    )
    return Problem(429, detail, (), {"Retry-After": "1"})


def too_large(most_bytes: int) -> Problem:
    """Make the answer to a body that is too large."""
    return Problem(
        413,
        f"The body is larger than {most_bytes} bytes, the limit here (DRIFTGAUGE_…_MAX_BYTES); "
        f"send less at a time.",
    )


def encodable(text: str) -> str:
    """Make text that a client sent encodable: JSON may carry halves of surrogate pairs."""
    return text.encode("utf-8", "backslashreplace").decode()
