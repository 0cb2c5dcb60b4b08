"""W3C trace context: what a caller's `traceparent` says, and the short form that an event carries.

A header that breaks a rule of the specification is ignored, as the specification wants it, since no
request may fail by its trace. Pure.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

PARENT: Final = b"traceparent"
STATE: Final = b"tracestate"
LONGEST_STATE: Final = 512
"""Most characters of a `tracestate` that is passed on."""
SAMPLED: Final = 1
"""The flag of a trace that its caller keeps."""
TRACEPARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
"""Version, trace, span and flags; only a version after 00 may have more behind them."""
MEMBER: Final = re.compile(r"([a-z0-9][a-z0-9_*/@-]{0,255})=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
"""A vendor's name and value in a `tracestate`."""
MOST_MEMBERS: Final = 32
CARRIED: Final = re.compile(r"(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})")

Headers = Iterable[tuple[bytes, bytes]]


class Remote(NamedTuple):
    """A span of another process.

    Parameters
    ----------
    trace, span
        Their ids, in hexadecimal digits.
    flags
        Flags of the trace; `SAMPLED` is one.
    state
        What vendors added, as it came; empty if there is nothing.
    """

    trace: str
    span: str
    flags: int = SAMPLED
    state: str = ""

    @property
    def carried(self) -> str | None:
        """The short form that an event carries; None for a trace that nobody keeps."""
        return f"{self.trace}-{self.span}" if self.flags & SAMPLED else None


def parsed(traceparent: str) -> Remote | None:
    """Read a `traceparent`; None if it is none.

    Examples
    --------
    >>> parsed("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").carried
    '4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7'
    >>> parsed("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more") is None
    True
    """
    found = TRACEPARENT.fullmatch(traceparent)
    if found is None or (found[1] == "00" and found[5] is not None):
        return None
    return Remote(found[2], found[3], int(found[4], 16))


def caller_of(headers: Headers) -> Remote | None:
    """Return the span that a request's headers name; None without one, or with two.

    Parameters
    ----------
    headers
        Names in small letters, and values.
    """
    found: Mapping[bytes, list[bytes]] = {PARENT: [], STATE: []}
    for name, value in headers:
        if name in found:
            found[name].append(value)
    if len(found[PARENT]) != 1:
        return None
    remote = parsed(found[PARENT][0].decode("latin-1"))
    state = b",".join(found[STATE]).decode("latin-1")
    if remote is None or not _is_state(state):
        return remote
    return remote._replace(state=state)


def carried(text: str) -> Remote | None:
    """Read what an event carries; None if it is none.

    Examples
    --------
    >>> carried("4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7").trace
    '4bf92f3577b34da6a3ce929d0e0e4736'
    >>> carried("=cmd()") is None
    True
    """
    found = CARRIED.fullmatch(text)
    return None if found is None else Remote(found[1], found[2])


def trace_of(text: str) -> str | None:
    """Return the trace of what an event carries; None if it is none.

    Examples
    --------
    >>> trace_of("4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    found = CARRIED.fullmatch(text)
    return None if found is None else found[1]


def _is_state(text: str) -> bool:
    """Tell whether a `tracestate` is one: what is not is left out, and the trace joined without
    it.
    """
    if len(text) > LONGEST_STATE:
        return False
    members = [part for one in text.split(",") if (part := one.strip(" \t"))]
    named = [found[1] for one in members if (found := MEMBER.fullmatch(one)) is not None]
    return len(set(named)) == len(members) <= MOST_MEMBERS
