"""Posts the rows of a simulation to the API at a limited rate, and their labels some time later."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from driftgauge.models.common.late_labels import LateLabels
from driftgauge.models.drift.traffic import SimulatedRow
from driftgauge.shared.connections.api_client import ask
from driftgauge.shared.contract.events import Value
from driftgauge.shared.errors import BadData, DriftgaugeError

CONCURRENT: Final = 8
"""Most requests for a prediction that are open at once; httpx looks at each of them every
time.
"""


@dataclass(frozen=True)
class Posted:
    """A row that the API has answered.

    Parameters
    ----------
    id
        Id of the prediction, which its label names.
    time
        Time of the API's answer, in Unix milliseconds.
    """

    row: SimulatedRow
    id: str
    prediction: Value
    time: int


@dataclass
class Poster:
    """Posts rows to one model.

    Parameters
    ----------
    client
        Client with the API's address and key.
    rate
        Most rows a second; 0 is no limit.
    labels
        True values, each of which is posted when it is due. The caller posts those that are left at
        the end of the traffic.

    Attributes
    ----------
    done
        All rows that were answered, in their order.
    """

    client: httpx.AsyncClient
    model: str
    rate: float
    labels: LateLabels
    done: list[Posted] = field(default_factory=list)
    _begun: float = 0.0

    async def post(
        self, rows: Sequence[SimulatedRow], *, scored: bool, advance: Callable[[int], None]
    ) -> None:
        """Post rows, then the labels that are due. All are answered when it returns.

        Parameters
        ----------
        scored
            True if the API is to predict the rows; if not, their own predictions are published.
        advance
            Function that is called with the number of rows that were just answered.
        """
        self._begun = self._begun or time.monotonic()
        await (self._predict(rows, advance) if scored else self._publish(rows, advance))
        await self.labels.post(time.monotonic())
        if self.rate:
            await asyncio.sleep(
                max(0.0, self._begun + len(self.done) / self.rate - time.monotonic())
            )

    async def _predict(self, rows: Sequence[SimulatedRow], advance: Callable[[int], None]) -> None:
        """Post rows to `/predict`, a few at once; `done` keeps their order whatever is answered."""
        answers: list[Posted | None] = [None] * len(rows)
        waiting = iter(enumerate(rows))

        async def some() -> None:
            for place, row in waiting:
                answer = await ask(
                    self.client,
                    "POST",
                    "/predict",
                    json={"model": self.model, "features": row.features},
                )
                if answer["event"] == "dropped":
                    raise DriftgaugeError(
                        "The API dropped an event: its queue is full. Post at a lower --rate."
                    )
                answers[place] = Posted(row, answer["id"], answer["prediction"], _now())
                advance(1)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(CONCURRENT, len(rows))):
                group.create_task(some())
        self._keep([answer for answer in answers if answer is not None])

    async def _publish(self, rows: Sequence[SimulatedRow], advance: Callable[[int], None]) -> None:
        events = [
            {"model": self.model, "features": row.features, "prediction": row.prediction}
            for row in rows
        ]
        # all or none: a simulation of which a part is refused shows nothing
        answer = await ask(
            self.client, "POST", "/events", json=events, headers={"Prefer": "handling=strict"}
        )
        ids = answer["ids"]
        self._keep(
            [Posted(row, name, row.prediction, _now()) for row, name in zip(rows, ids, strict=True)]
        )
        advance(len(rows))

    def _keep(self, posted: Sequence[Posted]) -> None:
        self.done += posted
        self.labels.keep([one.id for one in posted], [one.row.label for one in posted])

    def require_labels(self) -> None:
        """Refuse to go on if the API rejected every label, since labels alone show some drifts.

        Raises
        ------
        BadData
            With the most frequent reason.
        """
        if self.labels.rejected and not self.labels.accepted:
            reason, count = self.labels.rejected.most_common(1)[0]
            raise BadData(f"The API rejected all {count} labels: {reason}.")


def _now() -> int:
    return time.time_ns() // 1_000_000
