"""Halves that wait for their other half, for a quarter of an hour.

They are kept by spans of five minutes of entry time, in a Redis hash for each; only those that a
batch needs, and those not yet committed, are in memory. A half of span S waits until span S + 3
ends. When both halves have met, a mark stays in the place of the first one, by which a half that
comes once more is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from driftgauge.consumer.counting.entries.columns import Half
from driftgauge.shared.contract.counters import ExchangeCounts
from driftgauge.shared.contract.events import Request, Response

SPAN_MS: Final = 300_000
SPANS_KEPT: Final = 3
"""Whole spans after its own for which a half waits."""
MOST_WAITING: Final = 100_000
"""Most halves of a partition that wait."""


class Kept(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A half that waits; neither after the other one came."""

    request: Request | None = None
    response: Response | None = None

    @classmethod
    def of(cls, half: Half) -> "Kept":
        """Return what is kept of a half."""
        return cls(request=half) if isinstance(half, Request) else cls(response=half)


MET: Final = Kept()


class Span(msgspec.Struct, array_like=True):
    """Halves of a span that wait, by kind."""

    requests: int = 0
    responses: int = 0


@dataclass(slots=True)
class Exchanges:
    """The halves of a partition that wait, and the changes to write to Redis.

    Parameters
    ----------
    spans
        Number of waiting halves by span (Unix ms // `SPAN_MS`), of all spans that have a hash.
    found
        Committed halves that a batch's halves name, by span and digest; set before each batch.
    changes
        Halves to write since the last commit, by span and digest.
    gone
        Spans to delete, since the last commit.
    day, publisher, number
        Day of the last prediction that was written to the log, its publisher, and its number.
    """

    spans: dict[int, Span] = field(default_factory=dict)
    found: Mapping[int, Mapping[bytes, Kept]] = field(default_factory=dict)
    changes: dict[int, dict[bytes, Kept]] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    day: int = 0
    publisher: bytes = b""
    number: int = 0

    @property
    def size(self) -> int:
        """Number of halves that wait."""
        return sum(span.requests + span.responses for span in self.spans.values())

    def find(self, digest: bytes, span: int) -> tuple[int, Kept] | None:
        """Find what is kept of an id at a span, and the span of it."""
        for one in range(span, span - SPANS_KEPT - 1, -1):
            kept = self.changes.get(one, {}).get(digest) or self.found.get(one, {}).get(digest)
            if kept is not None:
                return one, kept
        return None

    def put(self, span: int, digest: bytes, kept: Kept) -> None:
        """Keep a half, or the mark that it met the other one."""
        self.spans.setdefault(span, Span())
        self.changes.setdefault(span, {})[digest] = kept

    def forget(self, span: int, counts: ExchangeCounts) -> None:
        """Drop the spans that no later entry needs, since entry ids only grow; what still waits
        there stays alone.
        """
        for one in sorted(one for one in self.spans if one < span - SPANS_KEPT):
            left = self.spans.pop(one)
            counts.unanswered += left.requests
            counts.unasked += left.responses
            self.changes.pop(one, None)
            self.gone.append(one)

    def written(self) -> None:
        """Note that the changes are committed."""
        self.changes, self.gone = {}, []
