"""The errors that a route may answer, found by what it is: each is a problem document (RFC 9457).

What only some routes answer, they declare (declared.py).
"""

from collections.abc import Iterable, Mapping
from typing import Final

from driftgauge.producer.describing.declared import Answer, problem

EVERYWHERE: Final[Mapping[int, str]] = {
    400: "The request cannot be read: no HTTP, no JSON, or a position that no page returned.",
    408: "The request did not come in time.",
    422: "Parameters or fields that cannot be used, each with its place; unknown ones too.",
    431: "The head of the request is too large.",
    500: "The API failed; its log says where.",
}
"""What any request may be answered."""
GUARDED: Final[Mapping[int, str]] = {
    403: "The key lacks the scope, or a page of another site sent the request.",
    421: "An API without keys was asked by a name that is not its own.",
    429: "Too many requests in this second; `Retry-After` says when to ask again.",
}
"""What a request is answered that needs a key or changes something."""
KEYED: Final[Mapping[int, str]] = {
    401: "No key, or one that is unknown, revoked or expired.",
    503: "Redis, the model or the archive does not answer, or there is no room. `Retry-After` says "
    "when to ask again.",
}
NAMED: Final[Mapping[int, str]] = {404: "There is nothing of this name; the answer says what is."}
"""What a request is answered that names a model, or another thing."""
WITH_BODY: Final[Mapping[int, str]] = {
    413: "The body is too large, as it is sent or unpacked.",
    415: "A Content-Type or Content-Encoding that is not taken.",
}


def errors_of(
    path: str, parameters: Iterable[str], *, keyed: bool, changes: bool, has_body: bool
) -> dict[int, Answer]:
    """Return the errors of a route.

    Parameters
    ----------
    parameters
        Names of its parameters in the query.
    keyed
        Whether it needs a key.
    changes
        Whether its method is one that may change something.

    Examples
    --------
    >>> [*errors_of("/livez", (), keyed=False, changes=False, has_body=False)]
    [400, 408, 422, 431, 500]
    """
    found = dict(EVERYWHERE)
    if keyed or changes:
        found |= GUARDED
    if keyed:
        found |= KEYED
    if "{" in path or "model" in parameters:
        found |= NAMED
    if has_body:
        found |= WITH_BODY
    return {status: problem(meaning) for status, meaning in found.items()}
