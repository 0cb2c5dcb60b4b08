"""True values that come some time after their predictions, as they do in life: kept until they are
due, then posted.
"""

import heapq
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import numpy as np

from driftgauge.shared.connections.api_client import ask
from driftgauge.shared.contract.events import Value

LABELS: Final = 500
"""Labels of one request."""


@dataclass
class LateLabels:
    """Labels of a model's predictions.

    Parameters
    ----------
    mean_delay_s
        Mean of their random (exponential) delay.
    random
        Of the delays.

    Attributes
    ----------
    accepted
        Labels that were accepted.
    rejected
        Reason to the number of labels that were rejected for it.
    """

    client: httpx.AsyncClient
    model: str
    mean_delay_s: float
    random: np.random.Generator
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    _waiting: list[tuple[float, str, Value]] = field(default_factory=list)

    def keep(self, predictions: Sequence[str], labels: Sequence[Value]) -> None:
        """Keep the labels of predictions that were just made, each until its time; None is no
        label.
        """
        delays = self.random.exponential(self.mean_delay_s, len(labels)).tolist()
        now = time.monotonic()
        for prediction, label, delay in zip(predictions, labels, delays, strict=True):
            if label is not None:
                heapq.heappush(self._waiting, (now + delay, prediction, label))

    async def post(self, until: float | None = None) -> None:
        """Post the labels that are due until a moment of the monotonic clock; all that are left if
        it is None.

        Raises
        ------
        BadData
            If the API refuses the request; the labels of the request are lost then.
        ServiceUnavailable
            If it does not answer; likewise.
        """
        while due := self._due(until):
            answer = await ask(
                self.client, "POST", "/labels", params={"model": self.model}, json=due
            )
            self.accepted += answer["accepted"]
            self.rejected.update(rejected["reason"] for rejected in answer["rejected"])

    def _due(self, until: float | None) -> list[dict[str, Any]]:
        due: list[dict[str, Any]] = []
        while (
            self._waiting and len(due) < LABELS and (until is None or self._waiting[0][0] <= until)
        ):
            _, prediction, label = heapq.heappop(self._waiting)
            due.append({"prediction_id": prediction, "label": label})
        return due
