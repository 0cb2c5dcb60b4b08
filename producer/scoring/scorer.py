"""Micro-batching: concurrent requests for the same version share one model call, off the event
loop.

One thread predicts. Meanwhile new requests collect and become the next batch, so the batch grows
with the load, and a single request does not wait for others. Blocks of rows (of /predict_batch)
take
turns with them: a request waits for one block at most, and a block for one batch.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.scoring.estimator import Row, Score, failure
from driftgauge.producer.scoring.serving import ServedVersion

logger = logging.getLogger("driftgauge.producer")

Scores = list[Score | None]
Waiting = tuple[Row, asyncio.Future[Score]]


class Call(NamedTuple):
    """A model call that is due: its rows, and who takes the scores."""

    served: ServedVersion
    rows: Sequence[Row]
    deliver: Callable[[Scores], None]


class Scorer:
    """Predicts rows that concurrent requests hand in.

    Parameters
    ----------
    most_rows
        Most requests that share one model call; blocks should not be larger.
    """

    def __init__(self, most_rows: int) -> None:
        self.calls = 0
        self.most_rows = most_rows
        self._executor = ThreadPoolExecutor(1, "scoring")
        self._waiting: dict[ServedVersion, list[Waiting]] = {}
        self._blocks: deque[tuple[ServedVersion, Sequence[Row], asyncio.Future[Scores]]] = deque()
        self._block_is_next = False
        self._busy = False

    async def score(self, served: ServedVersion, row: Row) -> Score:
        """Predict one row.

        Raises
        ------
        Problem
            500 if the model failed at this row, or gave no finite number.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Score] = loop.create_future()
        self._waiting.setdefault(served, []).append((row, future))
        self._wake(loop)
        return await future

    async def score_block(self, served: ServedVersion, rows: Sequence[Row]) -> Scores:
        """Predict a block of rows; None for a row that the model cannot predict."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Scores] = loop.create_future()
        self._blocks.append((served, rows, future))
        self._wake(loop)
        return await future

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._busy:
            self._busy = True
            loop.call_soon(
                self._start, loop
            )  # not at once: requests of the same turn of the loop join

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand the next call to the thread."""
        call = self._next()
        self._busy = call is not None
        if call is None:
            return
        self.calls += 1
        running = loop.run_in_executor(self._executor, predict, call.served, call.rows)

        def finish(done: asyncio.Future[Scores]) -> None:
            call.deliver(done.result())
            self._start(loop)

        running.add_done_callback(finish)

    def _next(self) -> Call | None:
        """Return the next call: in turn a block and a batch of requests, where there are both."""
        while self._blocks and self._blocks[0][2].done():  # its client has gone
            self._blocks.popleft()
        if self._blocks and (self._block_is_next or not self._waiting):
            self._block_is_next = False
            return self._block()
        self._block_is_next = True
        return self._batch() if self._waiting else None

    def _block(self) -> Call:
        served, rows, future = self._blocks.popleft()

        def deliver(scores: Scores) -> None:
            if not future.done():
                future.set_result(scores)

        return Call(served, rows, deliver)

    def _batch(self) -> Call:
        """Take the requests that have waited longest."""
        served, waiting = next(iter(self._waiting.items()))
        del self._waiting[served]
        batch, rest = waiting[: self.most_rows], waiting[self.most_rows :]
        if rest:
            self._waiting[served] = rest  # at the end: other versions have their turn first

        def deliver(scores: Scores) -> None:
            for (_, future), score in zip(batch, scores, strict=True):
                if future.done():  # its client has gone
                    continue
                if score is None:
                    future.set_exception(_no_score(served))
                else:
                    future.set_result(score)

        return Call(served, [row for row, _ in batch], deliver)


def predict(served: ServedVersion, rows: Sequence[Row]) -> Scores:
    """Predict rows by one model call; None for a row that the model cannot predict.

    If the call fails, its halves are tried, so that a row fails its own request and not its
    neighbours'.
    """
    assert served.estimator is not None  # noqa: S101  monitor-only versions are refused before
    try:
        return served.estimator.scores(rows)
    except Exception as error:  # noqa: BLE001  a model can raise anything; None becomes a 500 answer
        if len(rows) > 1:
            middle = len(rows) // 2
            return predict(served, rows[:middle]) + predict(served, rows[middle:])
        # without a stack trace, which ends with the message
        logger.error("%s %s failed at a row: %s.", served.model, served.version, failure(error))  # noqa: TRY400
        return [None]


def _no_score(served: ServedVersion) -> Problem:
    return Problem(
        500,
        f"The model {served.model} {served.version} gave no usable prediction for these features; "
        f"the log of the API "
        "says where it failed. No event was published.",
    )
