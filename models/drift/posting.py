"""Sends the rows of a simulation to the API, at a rate, and their labels some time after their predictions."""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import numpy as np

from models.drift.traffic import Row
from shared.api_client import ask
from shared.errors import BadData, DriftgaugeError
from shared.events import Value

CONCURRENT: Final = 32
"""Predictions that are under way at once."""
LABELS: Final = 500
"""Labels of one request."""


@dataclass(frozen=True)
class Posted:
    """A row and its prediction; `time` is when it was answered, Unix ms."""

    row: Row
    id: str
    prediction: Value
    time: int


@dataclass
class Poster:
    """Posts to a model.

    Parameters
    ----------
    rate
        Most events a second; 0 is no limit.
    label_delay_s
        Mean of the labels' random (exponential) delay; at the end of the traffic the rest of them are posted at once.
    random
        Of the delays.

    Attributes
    ----------
    done
        All rows, in their order.
    labelled
        Labels that were accepted.
    rejected
        Reason to the number of labels that were rejected for it.
    """

    client: httpx.AsyncClient
    model: str
    rate: float
    label_delay_s: float
    random: np.random.Generator
    done: list[Posted] = field(default_factory=list)
    labelled: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    _waiting: list[tuple[float, int, str, Value]] = field(default_factory=list)
    _begun: float = 0.0

    async def post(self, rows: Sequence[Row], *, scored: bool, advance: Callable[[int], None]) -> None:
        """Post rows, then the labels that are due; all are answered when it returns."""
        self._begun = self._begun or time.monotonic()
        await (self._predict(rows, advance) if scored else self._publish(rows, advance))
        await self.post_labels(time.monotonic())
        if self.rate:
            await asyncio.sleep(max(0.0, self._begun + len(self.done) / self.rate - time.monotonic()))

    async def post_labels(self, until: float | None = None) -> None:
        """Post the labels that are due until a moment of the monotonic clock; all that are left if it is None."""
        while self._waiting and (until is None or self._waiting[0][0] <= until):
            due: list[dict[str, Any]] = []
            while self._waiting and len(due) < LABELS and (until is None or self._waiting[0][0] <= until):
                _, _, prediction, label = heapq.heappop(self._waiting)
                due.append({"prediction_id": prediction, "label": label})
            answer = await ask(self.client, "POST", "/labels", params={"model": self.model}, json=due)
            self.labelled += answer["accepted"]
            self.rejected.update(rejected["reason"] for rejected in answer["rejected"])

    async def _predict(self, rows: Sequence[Row], advance: Callable[[int], None]) -> None:
        """Let the API predict, a few at a time; the order of the rows is kept here, not there."""
        answers: list[Posted | None] = [None] * len(rows)
        waiting = iter(enumerate(rows))

        async def some() -> None:
            for place, row in waiting:
                answer = await ask(self.client, "POST", "/predict", json={"model": self.model, "features": row.features})
                if answer["event"] == "dropped":
                    raise DriftgaugeError("The API dropped an event: its queue is full. Post at a lower --rate.")
                answers[place] = Posted(row, answer["id"], answer["prediction"], _now())
                advance(1)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(CONCURRENT, len(rows))):
                group.create_task(some())
        self._keep([answer for answer in answers if answer is not None])

    async def _publish(self, rows: Sequence[Row], advance: Callable[[int], None]) -> None:
        events = [{"model": self.model, "features": row.features, "prediction": row.prediction} for row in rows]
        answer = await ask(self.client, "POST", "/events", json=events)
        ids = answer["ids"]
        self._keep([Posted(row, name, row.prediction, _now()) for row, name in zip(rows, ids, strict=True)])
        advance(len(rows))

    def _keep(self, posted: Sequence[Posted]) -> None:
        self.done += posted
        delays = self.random.exponential(self.label_delay_s, len(posted)).tolist()
        now = time.monotonic()
        for one, delay in zip(posted, delays, strict=True):
            if one.row.label is not None:
                heapq.heappush(self._waiting, (now + delay, len(self._waiting), one.id, one.row.label))

    def require_labels(self) -> None:
        """Refuse to go on if no label was taken: a drift that only they show could never be found.

        Raises
        ------
        BadData
            With the first reason.
        """
        if self.rejected and not self.labelled:
            reason, count = self.rejected.most_common(1)[0]
            raise BadData(f"The API rejected all {count} labels: {reason}.")


def _now() -> int:
    return time.time_ns() // 1_000_000
