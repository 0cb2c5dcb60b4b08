"""Steps of the way, for code that does not know whether it is traced.

    with step("score"):
        …

Whoever begins a trace (the layer around the API, a worker's stage) makes its span the current one.
A step is a child of the current span. Without one, as always without OpenTelemetry, and in traces
that are not sampled, it is nothing.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Final, Protocol

READ: Final = "read"
ADVANCE: Final = "advance"
COMMIT: Final = "commit"
"""Steps of a turn of a worker's stage."""

Fact = str | int | float | bool


class Span(Protocol):
    """A part of a trace that is under way, and that somebody keeps."""

    carried: str
    """Its short form for an event (context.py)."""

    def child(self, name: str) -> "AbstractContextManager[Span | None]":
        """Return a part of it, to be entered; within, it is the current span."""

    def note(self, **facts: Fact) -> None:
        """Add facts, each as the attribute `driftgauge.` and its name. No value of a feature, id or
        name of a person may be among them.
        """

    def link(self, traces: Iterable[str]) -> None:
        """Link it with what events carry; malformed ones, and those beyond a bound, are left
        out.
        """


current: Final[ContextVar[Span | None]] = ContextVar("driftgauge_span", default=None)
NOTHING: Final[AbstractContextManager[Span | None]] = nullcontext()


def step(name: str) -> AbstractContextManager[Span | None]:
    """Return a step of the current span; nothing if there is none.

    Examples
    --------
    >>> with step("score") as span:
    ...     print(span)
    None
    """
    span = current.get()
    return NOTHING if span is None else span.child(name)


def carried_now() -> str | None:
    """Return what an event carries that is made now; None if no trace is kept."""
    span = current.get()
    return None if span is None else span.carried
