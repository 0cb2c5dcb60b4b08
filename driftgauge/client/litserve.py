"""LitServe: a callback that logs what a server predicts. It needs the package litserve.

    server = LitServer(api, callbacks=[DriftgaugeCallback("http://localhost:8000", "steel")])

LitServe's hooks are told nothing of inputs and outputs, so the callback watches the API's `predict`
in each of its worker processes, when it is set up.
"""

from collections.abc import Callable
from typing import Any

from litserve import Callback, LitAPI

from driftgauge.client.monitor import Monitor


class DriftgaugeCallback(Callback):  # type: ignore[misc]  # litserve is not installed where types are checked
    """Logs each call of `predict` with its latency, and as failed if it raises.

    Parameters
    ----------
    url, model, options
        As of `driftgauge.client.Monitor`.
    features
        Function of what `predict` is given that returns the features, or those of each row of a
        batch; by itself all of it.
    prediction
        Function of what `predict` returns that returns the prediction, or that of each row.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        features: Callable[..., Any] | None = None,
        prediction: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        self._url, self._model, self._options = url, model, options
        self._features, self._prediction = features, prediction
        self.monitor: Monitor | None = None

    def on_after_setup(self, lit_api: LitAPI) -> None:
        """Watch `predict`: the monitor is made here, in the process that predicts."""
        self.monitor = Monitor(self._url, self._model, **self._options)
        lit_api.predict = self.monitor.watch(
            lit_api.predict, features=self._features, prediction=self._prediction
        )
