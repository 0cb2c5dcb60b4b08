"""Pairing: a request and a response of one id become one prediction, in any order.

The prediction is written to the log by the commit that takes the halves away, under numbers of its
own, and is then counted like any other: so it is counted once if the halves are.
"""

from driftgauge.consumer.counting.clock import DAY_MS
from driftgauge.consumer.counting.entries.columns import Half, Halves
from driftgauge.consumer.counting.exchanges.waiting import (
    MET,
    MOST_WAITING,
    SPAN_MS,
    Exchanges,
    Kept,
)
from driftgauge.consumer.counting.state import CountingState
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.events import Prediction, Request

Paired = tuple[bytes, int, Prediction]
"""A prediction to write to the log: publisher, number, content."""
NO_ROOM = "too many requests and responses wait for their other half"


class Pairer:
    """Pairs the halves of one batch.

    Parameters
    ----------
    state
        State of the partition, changed in place.
    """

    def __init__(self, state: CountingState) -> None:
        self._exchanges: Exchanges = state.exchanges
        self._counts = state.counters.exchanges
        self._changed = state.changed

    def pair(self, halves: Halves, fresh: Ints) -> tuple[list[Paired], dict[int, str]]:
        """Return the predictions of the halves that met, and why others cannot wait, by their
        places.
        """
        paired: list[Paired] = []
        refused: dict[int, str] = {}
        for place in fresh.tolist():
            half, entry_ms = halves.events[place], int(halves.entry_ms[place])
            span, digest = entry_ms // SPAN_MS, halves.digests[place]
            self._exchanges.forget(span, self._counts)
            found = self._exchanges.find(digest, span)
            if found is None:
                if not self._wait(span, digest, half):
                    refused[place] = NO_ROOM
            elif (prediction := _joined(found[1], half)) is None:
                self._counts.repeated += 1
            else:
                self._meet(found[0], digest, half)
                paired.append(self._numbered(prediction, digest, entry_ms))
        if len(fresh):
            self._changed.add(b"exchanges")
        return paired, refused

    def pass_time(self, entry_ms: int) -> None:
        """Give up halves that have waited in vain until an entry."""
        if self._exchanges.spans:
            self._exchanges.forget(entry_ms // SPAN_MS, self._counts)
            self._changed.add(b"exchanges")

    def _wait(self, span: int, digest: bytes, half: Half) -> bool:
        """Keep a half; return whether there is room."""
        if self._exchanges.size >= MOST_WAITING:
            self._counts.full += 1
            return False
        self._exchanges.put(span, digest, Kept.of(half))
        waiting = self._exchanges.spans[span]
        if isinstance(half, Request):
            waiting.requests += 1
        else:
            waiting.responses += 1
        return True

    def _meet(self, span: int, digest: bytes, second: Half) -> None:
        """Leave a mark in the place of the first half."""
        self._exchanges.put(span, digest, MET)
        waiting = self._exchanges.spans[span]
        if isinstance(second, Request):
            waiting.responses -= 1
        else:
            waiting.requests -= 1
        self._counts.paired += 1

    def _numbered(self, prediction: Prediction, digest: bytes, entry_ms: int) -> Paired:
        """Number a prediction.

        Each day has a publisher of its own, so that the numbers of one that was long silent need
        not be known for ever. It is named after its first prediction: whoever counts the log anew
        from a later entry on numbers otherwise.
        """
        exchanges, day = self._exchanges, entry_ms // DAY_MS
        if exchanges.day != day:
            exchanges.day, exchanges.number = day, 0
            exchanges.publisher = b"exchanges:%d:%s" % (day, digest[:8].hex().encode())
        exchanges.number += 1
        return exchanges.publisher, exchanges.number, prediction


def _joined(first: Kept, second: Half) -> Prediction | None:
    """Return the prediction of two halves; None if they are of the same kind, or have met."""
    if isinstance(second, Request):
        return None if first.response is None else second.answered(first.response)
    return None if first.request is None else first.request.answered(second)
