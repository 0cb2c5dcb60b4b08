"""Access control: every route declares the scope that it needs, which is checked before its request
is read.

    @routes.post("/predict")
    @needs("predict")
    async def predict(...)

One of several scopes is enough; `for_everybody` asks for none. A route without a declaration cannot
be made. The scopes are those of a key (key_file.py): predict, label, read, and admin, which has all
of them. Without a keys file everybody who reaches the API has all, so it listens on loopback only
(server.py) and answers only to names and addresses of its own (origin.py).
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from driftgauge.producer.access.rates import Rates
from driftgauge.producer.access.session import cookie_of, unseal
from driftgauge.producer.describing.declared import (
    answers_of,
    as_operation,
    as_responses,
    summary_of,
    taken_by,
)
from driftgauge.producer.describing.errors import errors_of
from driftgauge.producer.describing.queries import check as check_query
from driftgauge.producer.describing.queries import queries_of
from driftgauge.producer.http.problems import Problem, forbidden, rate_exceeded, unauthorized
from driftgauge.producer.http.sites import site_of
from driftgauge.shared.access.key_file import Key, KeyScope, KeySet
from driftgauge.shared.access.key_ring import KeyRing
from driftgauge.shared.access.origin import SAFE_METHODS, cross_site, host_allowed

CALLER: Final = "driftgauge.caller"
DECLARED: Final = "needed_scope"
MAX_HOST: Final = 262
"""A name of 255 characters and a port."""
MAX_ADDRESS: Final = 64
READ_HEADERS: Final = frozenset(
    (b"authorization", b"x-api-key", b"cookie", b"host", b"origin", b"sec-fetch-site", b"accept")
)

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Needed = tuple[KeyScope, ...]
Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request.

    Parameters
    ----------
    name
        Name of the key; what the caller does is recorded under it.
    key
        The key that the request presents; None without one.
    everything
        Whether the caller has all scopes without a key, since the API is open.
    """

    name: str
    key: Key | None = None
    everything: bool = False

    def allows(self, scope: KeyScope) -> bool:
        """Tell whether it has a scope."""
        return self.everything or (self.key is not None and self.key.allows(scope))


OPEN: Final = Caller("anonymous", everything=True)
UNTRUSTED: Final = Caller("anonymous")


def needs(*scopes: KeyScope) -> Callable[[Endpoint], Endpoint]:
    """Declare the scopes of which an endpoint needs one."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, DECLARED, scopes)
        return endpoint

    return declare


def for_everybody(endpoint: Endpoint) -> Endpoint:
    """Declare that an endpoint needs no key."""
    return needs()(endpoint)


def caller_of(request: Request) -> Caller:
    """Tell who sent a request."""
    caller: Caller = request.scope[CALLER]
    return caller


class Guarded(APIRoute):
    """A route that lets only those in who have the scope that its endpoint declares, and ask for
    nothing that it does not know.

    Raises
    ------
    TypeError
        If the endpoint declares no scope, or is described without saying what it answers.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        if not hasattr(endpoint, DECLARED):
            raise TypeError(
                f"{path}: {endpoint.__name__} does not declare the scope that it needs; see "
                f"producer/access/control.py."
            )
        self.needed: Needed = getattr(endpoint, DECLARED)
        described = _described(path, endpoint, self.needed, more)
        super().__init__(path, endpoint, **described)
        self.queries = queries_of(self.dependant, taken_by(endpoint).parameters)

    async def handle(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Let a request in, or answer that it may not."""
        scope["app"].state.parts.access.admit(scope, self.needed)
        if scope["query_string"] and scope["method"] in (self.methods or ()):
            check_query(scope["query_string"], self.queries)
        await super().handle(scope, receive, send)


def _described(
    path: str, endpoint: Callable[..., Any], needed: Needed, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of a route, with its description for OpenAPI."""
    found = answers_of(endpoint)
    if not found:
        if given.get("include_in_schema", True):
            raise TypeError(
                f"{path}: {endpoint.__name__} does not declare what it answers; see "
                f"producer/describing/declared.py."
            )
        return {**given, "response_class": Response, "response_model": None}
    taken, signature = taken_by(endpoint), inspect.signature(endpoint).parameters
    changes = not SAFE_METHODS.issuperset(given.get("methods") or ())
    errors = errors_of(
        path,
        (*signature, *(one["name"] for one in taken.parameters)),
        keyed=bool(needed),
        changes=changes,
        has_body=changes,
    )
    extra = as_operation(taken)
    if needed:
        extra["security"] = [{kind: [scope]} for scope in needed for kind in ("bearer", "header")]
    return {
        **given,
        "operation_id": endpoint.__name__,
        "summary": summary_of(endpoint),
        "status_code": min(found),
        "responses": as_responses(errors | dict(found)),
        "openapi_extra": extra,
        # each endpoint makes its answer; it is described by `responses` alone
        "response_class": Response,
        "response_model": None,
    }


def require_declarations(routes: Sequence[BaseRoute]) -> list[Guarded]:
    """Return routes; refuse those that are made without a declaration, by another class than ours.

    Raises
    ------
    TypeError
        If there is one; the message names the first.
    """
    found = []
    for route in routes:
        if not isinstance(route, Guarded):
            path = getattr(route, "path", route)
            raise TypeError(
                f"{path}: make its router with route_class=Guarded, so that its scope is asked for."
            )
        found.append(route)
    return found


class Access:
    """Admits requests: who sent them, whether they may, and how many they may send.

    Parameters
    ----------
    names
        Host names by which the API is known, beside localhost; they matter while it has no keys.
    """

    def __init__(self, ring: KeyRing, rates: Rates, names: frozenset[str]) -> None:
        self.ring = ring
        self.rates = rates
        self._names = names

    def admit(self, scope: Connection, needed: Needed) -> None:
        """Let a request in, and note in its scope whose it is.

        Raises
        ------
        Problem
            401, 403, 421 or 429; for a browser without a session, the way to the login.
        """
        headers = {name: value for name, value in scope["headers"] if name in READ_HEADERS}
        harmless = scope["method"] in SAFE_METHODS
        caller = scope[CALLER] = self._caller(headers)
        if harmless and not needed:
            return
        if self.ring.held is None and caller is not OPEN:
            raise misdirected(headers)
        if not harmless and _from_elsewhere(headers):
            raise Problem(
                403, "A page of another site sent this request, and only this API's own pages may."
            )
        self._limit(scope, caller)
        if needed and not any(map(caller.allows, needed)):
            raise _refusal(scope, headers, caller, needed)

    def still(self, caller: Caller, scope: KeyScope) -> bool:
        """Tell whether a caller that was let in may still read a long answer: its key may be
        revoked.
        """
        held = self.ring.held
        if caller.key is None or held is None:
            return held is None and caller.everything
        return (
            held.named(caller.key.id) == caller.key
            and not caller.key.expired()
            and caller.allows(scope)
        )

    def _caller(self, headers: Headers) -> Caller:
        held = self.ring.held
        if held is None:
            host = headers.get(b"host", b"")
            known = len(host) <= MAX_HOST and host_allowed(host.decode("latin-1"), self._names)
            return OPEN if known else UNTRUSTED
        key = _key(held, headers)
        return UNTRUSTED if key is None or key.expired() else Caller(key.name, key)

    def _limit(self, scope: Connection, caller: Caller) -> None:
        """Count the request; the clients of this machine are limited only if they have a key."""
        if caller.key is not None:
            if not self.rates.admit(caller.key.id):
                raise rate_exceeded(f"The key {caller.name!r}", self.rates.per_second)
            return
        client = scope.get("client")
        site = site_of(client[0][:MAX_ADDRESS]) if client else ""
        if site and not self.rates.admit(site):
            raise rate_exceeded(f"A client without a valid key ({site})", self.rates.per_second)


def presented(headers: Headers) -> bytes | None:
    """Return the key that a request presents in a header."""
    kind, _, value = headers.get(b"authorization", b"").partition(b" ")
    return value.strip() if kind.lower() == b"bearer" else headers.get(b"x-api-key")


def misdirected(headers: Headers) -> Problem:
    """Make the answer to a request for another host, which a page may have rebound to this one."""
    host = headers.get(b"host", b"").decode("latin-1")[:MAX_HOST]
    return Problem(
        421,
        f"This API has no keys, so it answers only to localhost and to addresses, not to {host!r}. "
        f"If that is its name, "
        "add it to DRIFTGAUGE_ALLOWED_HOSTS, or make keys with `driftgauge keys create`.",
    )


def _key(held: KeySet, headers: Headers) -> Key | None:
    text = presented(headers)
    if text is not None:
        return held.find(text)
    session = cookie_of(headers[b"cookie"]) if b"cookie" in headers else None
    return None if session is None else unseal(held, session)


def _from_elsewhere(headers: Headers) -> bool:
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    return cross_site(
        None if site is None else site.decode("latin-1"),
        None if origin is None else origin.decode("latin-1"),
        headers.get(b"host", b"").decode("latin-1"),
    )


def _refusal(scope: Connection, headers: Headers, caller: Caller, needed: Needed) -> Problem:
    """Say what a caller lacks; a browser that asks for a page is sent to the login."""
    if caller.key is not None:
        return forbidden(caller.name, needed)
    if presented(headers) is not None:
        return unauthorized("This key is unknown, revoked or expired.", invalid=True)
    if scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b""):
        query = scope["query_string"].decode("latin-1")
        root = scope.get("root_path", "")
        wanted = scope["path"].removeprefix(root) + (f"?{query}" if query else "")
        return Problem(
            303, "Log in first.", (), {"Location": f"{root}/login?next={quote(wanted, safe='')}"}
        )
    return unauthorized(
        "This needs a key: send it as `Authorization: Bearer KEY` or as `X-API-Key`.", invalid=False
    )
