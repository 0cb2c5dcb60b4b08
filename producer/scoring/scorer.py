"""Micro-batching: concurrent requests for the same version share one model call, off the event
loop.

Each version has a lane, and each lane makes one call at a time. Meanwhile new requests collect and
become the next batch, so the batch grows with the load, and a single request does not wait for
others. Blocks of rows (of /predict_batch) take turns with them: a request waits for one block at
most, and a block for one batch.

Lanes take turns too: one call at a time gives the event loop its share of the interpreter. A call
that takes longer than `TURN_S` loses its turn and goes on beside the others, so a slow model slows
itself alone. After its deadline a call is given up: what waits in its lane is answered 503, and so
is what comes later, until the call returns. So a model that hangs holds one thread, and its
requests wait once.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from driftgauge.producer.http.problems import RETRY_AFTER, Problem
from driftgauge.producer.scoring.estimator import Score, failure
from driftgauge.producer.scoring.serving import ServedVersion
from driftgauge.producer.scoring.threads import Threads
from driftgauge.shared.explaining.explanation import Explanation, Unexplained
from driftgauge.shared.otel.steps import step
from driftgauge.shared.versions.reference_rows import Row

SCORE: Final = "score"
"""The step of a trace: waiting for the model, and its call."""
TURN_S: Final = 0.05
"""Time (s) after which a call that has not returned lets the other lanes go on."""

logger = logging.getLogger("driftgauge.producer")

Scores = list[Score | None]
Waiting = tuple[Row, asyncio.Future[Score]]
Work = Callable[[ServedVersion, Sequence[Row]], list[Any]]
"""A function that calls a model with rows, and gives one item for each."""
Version = tuple[str, str]
"""A model and its version."""


class Block(NamedTuple):
    """Rows that have a model call of their own, what is done with them, and who waits for it."""

    served: ServedVersion
    rows: Sequence[Row]
    work: Work
    future: asyncio.Future[list[Any]]


class Call(NamedTuple):
    """A model call that is due: its rows, what is done with them, and who takes the result or the
    reason why there is none.
    """

    served: ServedVersion
    rows: Sequence[Row]
    work: Work
    deliver: Callable[[list[Any] | Problem], None]


class Hang(NamedTuple):
    """A call that was given up and has not returned: its version, and how long (s) it takes."""

    version: str
    seconds: float

    @property
    def words(self) -> str:
        return (
            f"{self.version} has not returned from a model call for {self.seconds:.0f} s, so its "
            "predictions are answered 503. Promote another version, or restart the API."
        )


class Lane:
    """What waits for one version, and its call that is under way.

    Attributes
    ----------
    call
        The call under way; None without one.
    begun
        Time (s, monotonic) at which it began.
    timer
        What happens if it takes long.
    stuck
        Whether it was given up.
    due
        Whether the lane waits for its turn.
    """

    def __init__(self, most_rows: int) -> None:
        self.call: Call | None = None
        self.begun = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.stuck = False
        self.due = False
        self._most_rows = most_rows
        self._waiting: list[Waiting] = []
        self._served: ServedVersion | None = None
        self._blocks: deque[Block] = deque()
        self._block_is_next = False

    def add_row(self, served: ServedVersion, row: Row, future: asyncio.Future[Score]) -> None:
        self._served = served
        self._waiting.append((row, future))

    def add_block(self, block: Block) -> None:
        self._blocks.append(block)

    @property
    def waits(self) -> bool:
        """Whether something waits for its call."""
        return bool(self._waiting or self._blocks)

    def next(self) -> Call | None:
        """Return the next call: in turn a block and a batch of requests, where there are both."""
        while self._blocks and self._blocks[0].future.done():  # its client has gone
            self._blocks.popleft()
        if self._blocks and (self._block_is_next or not self._waiting):
            self._block_is_next = False
            return self._block()
        self._block_is_next = True
        return self._batch() if self._waiting else None

    def refuse(self, problem: Problem) -> None:
        """Answer the call under way and everything that waits."""
        if self.call is not None:
            self.call.deliver(problem)
        while (call := self.next()) is not None:
            call.deliver(problem)

    def _block(self) -> Call:
        served, rows, work, future = self._blocks.popleft()

        def deliver(found: list[Any] | Problem) -> None:
            if future.done():
                return
            if isinstance(found, Problem):
                future.set_exception(found)
            else:
                future.set_result(found)

        return Call(served, rows, work, deliver)

    def _batch(self) -> Call:
        """Take the requests that have waited longest."""
        served = self._served
        assert served is not None  # noqa: S101  it came with the first row
        batch, self._waiting = self._waiting[: self._most_rows], self._waiting[self._most_rows :]
        if not self._waiting:
            self._served = None  # a version that is replaced need not stay in memory

        def deliver(found: Scores | Problem) -> None:
            given = [found] * len(batch) if isinstance(found, Problem) else found
            for (_, future), score in zip(batch, given, strict=True):
                if future.done():  # its client has gone, or it was given up
                    continue
                if isinstance(score, Problem):
                    future.set_exception(score)
                elif score is None:
                    future.set_exception(_no_score(served))
                else:
                    future.set_result(score)

        return Call(served, [row for row, _ in batch], predict, deliver)


class Scorer:
    """Predicts rows that concurrent requests hand in.

    Parameters
    ----------
    most_rows
        Most requests that share one model call; blocks should not be larger.
    timeout_s
        Longest time (s) of a model call.

    Attributes
    ----------
    calls
        Model calls that were begun.
    given_up
        Calls that took longer than the timeout, by model and version.
    """

    def __init__(self, most_rows: int, timeout_s: float) -> None:
        self.calls = 0
        self.given_up: Counter[Version] = Counter()
        self.most_rows = most_rows
        self._timeout_s = timeout_s
        self._threads = Threads("scoring")
        self._lanes: dict[Version, Lane] = {}
        self._due: deque[Lane] = deque()
        self._turn: Lane | None = None
        self._waking = False

    async def score(self, served: ServedVersion, row: Row) -> Score:
        """Predict one row.

        Raises
        ------
        Problem
            500 if the model failed at this row, or gave no finite number; 503 if it hangs.
        """
        loop = asyncio.get_running_loop()
        lane = self._lane(served)
        future: asyncio.Future[Score] = loop.create_future()
        with step(SCORE):
            lane.add_row(served, row, future)
            self._wake(loop, lane)
            return await future

    async def score_block(self, served: ServedVersion, rows: Sequence[Row]) -> Scores:
        """Predict a block of rows; None for a row that the model cannot predict.

        Raises
        ------
        Problem
            503 if the model hangs.
        """
        return await self._block(served, rows, predict)

    async def explain(self, served: ServedVersion, row: Row) -> tuple[Score, Explanation]:
        """Predict one row by a call of its own, and explain the prediction exactly.

        Raises
        ------
        Unexplained
            If the model is of no kind that has contributions of its own.
        Problem
            500 if the model failed at this row, or gave no finite number; 503 if it hangs.
        """
        (found,) = await self._block(served, [row], explain)
        if isinstance(found, Unexplained):
            raise found
        if found is None:
            raise _no_score(served)
        answer: tuple[Score, Explanation] = found
        return answer

    async def _block(self, served: ServedVersion, rows: Sequence[Row], work: Work) -> list[Any]:
        """Make a call of its own for some rows, and return what comes of each."""
        loop = asyncio.get_running_loop()
        lane = self._lane(served)
        future: asyncio.Future[list[Any]] = loop.create_future()
        with step(SCORE) as span:
            if span is not None:
                span.note(rows=len(rows))
            lane.add_block(Block(served, rows, work, future))
            self._wake(loop, lane)
            return await future

    def require_answering(self, served: ServedVersion) -> None:
        """Refuse a version that hangs.

        Raises
        ------
        Problem
            503 if a call of it was given up and has not returned.
        """
        self._lane(served)

    def hanging(self, served: Mapping[str, ServedVersion]) -> dict[str, Hang]:
        """Return the calls that were given up and have not returned, by model.

        Parameters
        ----------
        served
            The versions that serve. One that was replaced costs a thread, but no prediction.
        """
        now = time.monotonic()
        return {
            model: Hang(version, now - lane.begun)
            for (model, version), lane in self._lanes.items()
            if lane.stuck and model in served and served[model].version == version
        }

    def give_up(self) -> None:
        """Answer everything that waits, since the API stops."""
        self._due.clear()
        for lane in self._lanes.values():
            lane.due = False
            lane.refuse(Problem(503, "The API stops. Send it again.", (), RETRY_AFTER))

    def close(self) -> None:
        """Begin no further call. One that is under way is not waited for: it may never return."""
        self.give_up()
        for lane in self._lanes.values():
            if lane.timer is not None:
                lane.timer.cancel()
        self._threads.close()

    def _lane(self, served: ServedVersion) -> Lane:
        name = served.model, served.version
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(self.most_rows)
        if lane.stuck:
            raise self._hangs(served)
        return lane

    def _hangs(self, served: ServedVersion) -> Problem:
        return Problem(
            503,
            f"The model {served.model} {served.version} has not returned from a call for "
            f"{self._timeout_s:g} s (DRIFTGAUGE_MODEL_TIMEOUT_SECONDS), so it predicts nothing "
            "until it does. No event was published.",
            (),
            RETRY_AFTER,
        )

    # -- turns -------------------------------------------------------------------------------------

    def _wake(self, loop: asyncio.AbstractEventLoop, lane: Lane) -> None:
        """Give a lane a turn, unless its call is under way."""
        if lane.due or lane.call is not None:
            return
        lane.due = True
        self._due.append(lane)
        if self._turn is None and not self._waking:
            self._waking = True
            loop.call_soon(self._go_on)  # not at once: requests of the same turn of the loop join

    def _go_on(self) -> None:
        """Begin the next lane's call, if no other one has the turn."""
        self._waking = False
        while self._due and self._turn is None:
            lane = self._due.popleft()
            lane.due = False
            call = lane.next()
            if call is not None:
                self._begin(lane, call)

    def _begin(self, lane: Lane, call: Call) -> None:
        """Hand a call to a thread."""
        self.calls += 1
        self._turn = lane
        lane.call, lane.begun = call, time.monotonic()
        lane.timer = asyncio.get_running_loop().call_later(TURN_S, self._pass_on, lane)
        running = self._threads.start(call.work, call.served, call.rows)
        running.add_done_callback(lambda done: self._finish(lane, done))

    def _pass_on(self, lane: Lane) -> None:
        """Let the others go on beside a call that takes long."""
        self._turn = None
        rest = max(0.0, self._timeout_s - TURN_S)
        lane.timer = asyncio.get_running_loop().call_later(rest, self._give_up_call, lane)
        self._go_on()

    def _give_up_call(self, lane: Lane) -> None:
        """Answer what waits for a call that has not returned in time."""
        assert lane.call is not None  # noqa: S101  its end cancels the timer
        served = lane.call.served
        lane.stuck = True
        self.given_up[served.model, served.version] += 1
        logger.error(
            "%s %s has not returned from a call for %g s; its requests are answered 503 until it "
            "does.",
            served.model,
            served.version,
            self._timeout_s,
        )
        lane.refuse(self._hangs(served))

    def _finish(self, lane: Lane, done: asyncio.Future[list[Any]]) -> None:
        call, lane.call = lane.call, None
        assert call is not None and lane.timer is not None  # noqa: S101, PT018  `_begin` set both
        lane.timer.cancel()
        if lane.stuck:
            lane.stuck = False
            took = time.monotonic() - lane.begun
            logger.warning(
                "%s %s returned after %.0f s, and predicts again.",
                call.served.model,
                call.served.version,
                took,
            )
        failed = done.exception() is not None  # it ran out of memory or stack in between
        call.deliver([None] * len(call.rows) if failed else done.result())
        if self._turn is lane:
            self._turn = None
        if lane.waits and not lane.due:
            lane.due = True
            self._due.append(lane)
        self._go_on()


def predict(served: ServedVersion, rows: Sequence[Row]) -> Scores:
    """Predict rows by one model call; None for a row that the model cannot predict.

    If the call fails, its halves are tried, so that a row fails its own request and not its
    neighbours'.
    """
    assert served.estimator is not None  # noqa: S101  monitor-only versions are refused before
    try:
        return served.estimator.scores(rows)
    except BaseException as error:  # noqa: BLE001  a model can raise anything, SystemExit too; None becomes a 500 answer
        if len(rows) > 1:
            middle = len(rows) // 2
            return predict(served, rows[:middle]) + predict(served, rows[middle:])
        # without a stack trace, which ends with the message
        logger.error("%s %s failed at a row: %s.", served.model, served.version, failure(error))  # noqa: TRY400
        return [None]


def explain(
    served: ServedVersion, rows: Sequence[Row]
) -> list[tuple[Score, Explanation] | Unexplained | None]:
    """Predict and explain rows one by one; None for a row that the model cannot predict."""
    assert served.estimator is not None  # noqa: S101  monitor-only versions are refused before
    found: list[tuple[Score, Explanation] | Unexplained | None] = []
    for row, score in zip(rows, predict(served, rows), strict=True):
        if score is None:
            found.append(None)
            continue
        try:
            (explanation,) = served.estimator.explained([row], served.published.reference)
            found.append((score, explanation))
        except Unexplained as reason:
            found.append(reason)
        except Exception as error:  # noqa: BLE001  a library can raise anything; it is answered
            found.append(Unexplained(f"cannot be explained by its library: {failure(error)}"))
    return found


def _no_score(served: ServedVersion) -> Problem:
    return Problem(
        500,
        f"The model {served.model} {served.version} gave no usable prediction for these features; "
        f"the log of the API "
        "says where it failed. No event was published.",
    )
