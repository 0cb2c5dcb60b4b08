"""Why one prediction is what it is: exactly by one model call, or by an estimate where that was
asked for.

An estimate asks the model with some thousand rows. They go to it as a batch's do, block by block,
and take turns with single predictions: a request without an explanation waits for one block at
most.
"""

import asyncio
from typing import Final

import numpy as np

from driftgauge.producer.http.problems import RETRY_AFTER, Problem
from driftgauge.producer.scoring.estimator import Score
from driftgauge.producer.scoring.scorer import Scorer
from driftgauge.producer.scoring.serving import ServedVersion
from driftgauge.shared.arrays import Floats
from driftgauge.shared.explaining.explanation import Explanation, Unexplained
from driftgauge.shared.explaining.sampling import estimated, walks
from driftgauge.shared.versions.reference_rows import Row

ESTIMATE: Final = "estimate"
"""How a request asks for an estimate where there is nothing exact."""
MOST_ESTIMATES: Final = 4
"""Most estimates of one process at a time: each holds its rows in memory."""


class Explaining:
    """Predicts and explains single rows; for one event loop."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._estimates = 0

    async def explain(
        self, served: ServedVersion, row: Row, *, estimate: bool
    ) -> tuple[Score, Explanation]:
        """Predict and explain a row.

        Parameters
        ----------
        estimate
            Whether an estimate is wanted where there is nothing exact.

        Raises
        ------
        Problem
            409 if the model cannot be explained; 500 if it failed at this row; 503 if it hangs, or
            too many estimates are being made.
        """
        try:
            return await self._scorer.explain(served, row)
        except Unexplained as reason:
            if not estimate:
                raise _unexplained(served, f"{reason}; {ASK}") from reason
        if self._estimates >= MOST_ESTIMATES:
            raise Problem(
                503,
                f"{MOST_ESTIMATES} estimates are being made, the most at a time. Nothing was "
                "published; send it again later.",
                (),
                RETRY_AFTER,
            )
        self._estimates += 1
        try:
            return await self._estimate(served, row)
        except Unexplained as reason:
            raise _unexplained(served, f"{reason}. Send the request without it") from reason
        finally:
            self._estimates -= 1

    async def _estimate(self, served: ServedVersion, row: Row) -> tuple[Score, Explanation]:
        score = await self._scorer.score(served, row)
        place = _place(score)
        rows, orders = await asyncio.to_thread(
            walks, row, served.schema, served.published.reference
        )
        scores: list[Score | None] = []
        for start in range(0, len(rows), self._scorer.most_rows):
            block = rows[start : start + self._scorer.most_rows]
            scores += await self._scorer.score_block(served, block)
        values = _values(scores, place)
        if place is None:
            return score, estimated(orders, values, "prediction")
        return score, estimated(orders, values, "probability", served.schema.classes[place])


ASK: Final = (
    f'ask for an estimate of them by "explain": "{ESTIMATE}", which asks the model with some '
    "thousand rows"
)


def _place(score: Score) -> int | None:
    """Return the place of the class that is explained: of two the second, of several the one that
    is predicted; None of a number.
    """
    if score.probabilities is None:
        if isinstance(score.prediction, str):
            raise Unexplained("predicts classes without probabilities, which cannot be estimated")
        return None
    return 1 if len(score.probabilities) == 2 else int(np.argmax(score.probabilities))


def _values(scores: list[Score | None], place: int | None) -> Floats:
    """Return the numbers, or probabilities of a class, that a model gave."""
    if not all(scores):
        raise Unexplained(
            "gives no usable prediction for some rows of its reference's values, so no estimate "
            "can be made"
        )
    found = (
        one.prediction if place is None or one.probabilities is None else one.probabilities[place]
        for one in scores
        if one is not None
    )
    return np.array([*found], dtype=np.float64)


def _unexplained(served: ServedVersion, reason: str) -> Problem:
    return Problem(
        409,
        f"The prediction of {served.model} {served.version} cannot be explained: the model "
        f"{reason}. No event was published.",
    )
