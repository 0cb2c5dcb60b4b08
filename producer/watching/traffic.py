"""Traffic and backlog of a model, as numbers and as the text of a page's tiles."""

import time
from collections import deque
from collections.abc import Callable
from itertools import accumulate
from typing import Any, Final

from driftgauge.producer.reading.model_state import ModelState
from driftgauge.producer.watching.meter import BOUNDS_S, Meter
from driftgauge.shared.wording.numbers import count
from driftgauge.shared.wording.times import duration

SPAN_S: Final = 10.0
"""Time (s) over which a rate is measured."""
DASH: Final = "\u2013"


class Traffic:
    """Rate of counted events, from the latest observations."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}
        self._rates: dict[str, float] = {}

    def rate(self, state: ModelState) -> float | None:
        """Add a model's state and return its rate (events/s); None if it was not observed within
        the last seconds.
        """
        now, seen = self._clock(), self._seen.setdefault(state.model, deque())
        while seen and now - seen[0][0] > SPAN_S:
            seen.popleft()
        seen.append((now, state.events))
        start, before = seen[0]
        if now - start < 1:
            return None
        rate = max(0, state.events - before) / (now - start)
        self._rates[state.model] = rate
        return rate

    def latest(self, model: str) -> float | None:
        """Return a model's rate as it was taken last; None if that is long ago."""
        seen = self._seen.get(model)
        is_fresh = seen is not None and self._clock() - seen[-1][0] <= SPAN_S
        return self._rates.get(model) if is_fresh else None


def state_of(state: ModelState, rate: float | None, meter: Meter) -> dict[str, Any]:
    """Describe a model's traffic and backlog; `words` are what its tiles say."""
    lag = max((state.age_s(partition) for partition in state.partitions), default=0.0)
    waiting = sum(partition.backlog.entries for partition in state.partitions)
    exact = all(partition.backlog.exact for partition in state.partitions)
    latency = [quantile_s(meter.latencies, share) for share in (0.5, 0.99)]
    return {
        "model": state.model,
        "time": state.now_ms,
        "events": state.events,
        "rate": rate,
        "lag_seconds": lag,
        "waiting": waiting,
        "words": {
            "events": count(state.events),
            "rate": DASH if rate is None else f"{rate:,.1f}/s" if rate < 10 else f"{rate:,.0f}/s",
            "lag": duration(lag),
            "waiting": f"{count(waiting)} waiting"
            if exact
            else f"more than {count(waiting)} waiting",
            "latency": DASH if latency[0] is None else duration(latency[0]),
            "latency99": "no prediction here yet"
            if latency[1] is None
            else f"99 % below {duration(latency[1])}",
        },
    }


def quantile_s(buckets: list[int], share: float) -> float | None:
    """Estimate a quantile of a latency (s) from its buckets, evenly spread within one; None without
    any.

    Examples
    --------
    >>> quantile_s([0, 10, *[0] * (len(BOUNDS_S) - 1)], 0.5)
    0.00175
    """
    total = sum(buckets)
    if not total:
        return None
    wanted = share * total
    place, below = next(
        (place, reached) for place, reached in enumerate(accumulate(buckets)) if reached >= wanted
    )
    if place == len(BOUNDS_S):
        return BOUNDS_S[-1]
    low = BOUNDS_S[place - 1] if place else 0.0
    return low + (BOUNDS_S[place] - low) * (1 - (below - wanted) / buckets[place])
