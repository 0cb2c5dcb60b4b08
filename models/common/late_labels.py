"""Labels that arrive some time after their predictions, as they do in production.

Each is kept for a random time and then posted to the API.
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
"""Most labels of one request."""


@dataclass
class LateLabels:
    """The labels of a model's predictions that are waiting to be posted.

    Parameters
    ----------
    client
        Client with the API's address and key.
    model
        Name of the model.
    mean_delay_s
        Mean of the exponentially distributed time from a prediction to its label, in seconds.
    random
        Generator that draws these times.

    Attributes
    ----------
    accepted
        Number of labels that the API has accepted.
    rejected
        Reason to the number of labels that the API has rejected for it.
    """

    client: httpx.AsyncClient
    model: str
    mean_delay_s: float
    random: np.random.Generator
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    _waiting: list[tuple[float, str, Value]] = field(default_factory=list)

    def keep(self, predictions: Sequence[str], labels: Sequence[Value]) -> None:
        """Keep the labels of predictions that were just made; None stands for no label.

        Parameters
        ----------
        predictions
            Ids of the predictions.
        labels
            The true value of each.
        """
        delays = self.random.exponential(self.mean_delay_s, len(labels)).tolist()
        now = time.monotonic()
        for prediction, label, delay in zip(predictions, labels, delays, strict=True):
            if label is not None:
                heapq.heappush(self._waiting, (now + delay, prediction, label))

    async def post(self, until: float | None = None) -> None:
        """Post the labels that are due.

        Parameters
        ----------
        until
            Time by `time.monotonic()` up to which labels are due; None posts all that are left.

        Raises
        ------
        BadData
            If the API refuses the request. Its labels are lost.
        ServiceUnavailable
            If the API does not answer. The request's labels are lost.
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
