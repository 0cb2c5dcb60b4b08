"""Micro-batching: concurrent requests for the same version share one model call, off the event loop.

One thread predicts. While it does, new requests pile up and become the next batch, so the batch grows with the load and a
lone request waits for nobody.
"""

import asyncio
import logging
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from producer.problems import Problem
from producer.serving import ServedVersion
from shared.events import Value
from shared.schema import category_text

logger = logging.getLogger("driftgauge.producer")

Row = list[Value]
Prediction = float | str
Waiting = tuple[Row, asyncio.Future[Prediction]]


class Scorer:
    """Predicts rows that concurrent requests hand in.

    Parameters
    ----------
    most_rows
        Most requests that share a model call.
    """

    def __init__(self, most_rows: int) -> None:
        self.calls = 0
        self._most_rows = most_rows
        self._executor = ThreadPoolExecutor(1, "scoring")
        self._waiting: dict[ServedVersion, list[Waiting]] = {}
        self._busy = False

    async def score(self, served: ServedVersion, row: Row) -> Prediction:
        """Predict one row.

        Raises
        ------
        Problem
            500 if the model failed at this row, or gave no finite number.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Prediction] = loop.create_future()
        self._waiting.setdefault(served, []).append((row, future))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._start, loop)  # not at once: requests of the same turn of the loop join
        return await future

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand the batch that has waited longest to the thread."""
        self._busy = bool(self._waiting)
        if not self._busy:
            return
        served, waiting = next(iter(self._waiting.items()))
        del self._waiting[served]
        batch, rest = waiting[: self._most_rows], waiting[self._most_rows :]
        if rest:
            self._waiting[served] = rest  # at the end: other versions have their turn first
        self.calls += 1
        running = loop.run_in_executor(self._executor, predict, served, [row for row, _ in batch])
        running.add_done_callback(partial(self._finish, loop, served, batch))

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        served: ServedVersion,
        batch: list[Waiting],
        running: asyncio.Future[list[Prediction | None]],
    ) -> None:
        for (_, future), prediction in zip(batch, running.result(), strict=True):
            if future.done():  # its client has gone
                continue
            if prediction is None:
                future.set_exception(_failure(served))
            else:
                future.set_result(prediction)
        self._start(loop)


def predict(served: ServedVersion, rows: Sequence[Row]) -> list[Prediction | None]:
    """Predict rows by one model call; None for a row that the model cannot predict.

    If the call fails, its halves are tried, so that a row fails its own request and not its neighbours'.
    """
    try:
        return _predict(served, rows)
    except Exception as error:  # noqa: BLE001  a model can raise anything; None becomes a 500 answer
        if len(rows) > 1:
            middle = len(rows) // 2
            return predict(served, rows[:middle]) + predict(served, rows[middle:])
        # where, not what: a model's message can quote feature values
        frame = traceback.extract_tb(error.__traceback__)[-1]
        logger.error(  # noqa: TRY400  a stack trace ends with that message
            "%s %s failed at a row: %s at %s:%s.",
            served.model,
            served.version,
            type(error).__name__,
            frame.filename,
            frame.lineno,
        )
        return [None]


def _predict(served: ServedVersion, rows: Sequence[Row]) -> list[Prediction | None]:
    assert served.estimator is not None  # noqa: S101  monitor-only versions are refused before
    output = np.asarray(served.estimator.predict(inputs_of(served, rows)))
    if output.shape != (len(rows),):
        raise ValueError(f"The model gave the shape {output.shape} for {len(rows)} rows.")
    if served.schema.prediction == "categorical":
        return [category_text(label) for label in output.tolist()]
    numbers = output.astype(np.float64)
    if np.isfinite(numbers).all():
        return numbers.tolist()  # type: ignore[no-any-return]  # numpy types tolist as Any
    return [number if finite else None for number, finite in zip(numbers.tolist(), np.isfinite(numbers), strict=True)]


def inputs_of(served: ServedVersion, rows: Sequence[Row]) -> Any:
    """Give rows as the model was fitted: a matrix, or a frame if it has categories or knows its columns by name."""
    schema = served.schema
    if all(feature.kind == "numeric" for feature in schema.features):
        matrix = np.array(rows, dtype=np.float64)  # None becomes NaN
        named = hasattr(served.estimator, "feature_names_in_")
        return pd.DataFrame(matrix, columns=list(schema.names), copy=False) if named else matrix
    columns = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            feature.name: np.array(column, dtype=np.float64 if feature.kind == "numeric" else object)
            for feature, column in zip(schema.features, columns, strict=True)
        }
    )


def _failure(served: ServedVersion) -> Problem:
    return Problem(
        500,
        f"The model {served.model} {served.version} gave no usable prediction for these features; the log of the API "
        "says where it failed. No event was published.",
    )
