"""Replay: a file's rows as traffic to a running API.

The whole file is checked against the model's schema before the first row is posted.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import numpy as np
import pandas as pd

from driftgauge.shared.connections.api_client import ask
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import answers_of, json_values, rows_of
from driftgauge.shared.reference.schema import FieldError, Schema
from driftgauge.shared.reference.times import event_times
from driftgauge.shared.tables.format import TimeFormat

BATCH = 500
CONCURRENT = 32
SHOWN = 5

Way = Literal["events", "predict"]


@dataclass(frozen=True)
class Columns:
    """The columns of a file that are no features.

    Parameters
    ----------
    prediction
        The predictions that were made.
    time
        The event times.
    """

    prediction: str | None = None
    time: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are named."""
        return tuple(name for name in (self.prediction, self.time) if name is not None)


@dataclass(frozen=True)
class Plan:
    """What is to be posted: requests in the file's order (or shuffled), and the columns that are
    left out.
    """

    requests: list[dict[str, Any]]
    ignored: list[str]


def plan(
    frame: pd.DataFrame, schema: Schema, model: str, columns: Columns, way: Way, seed: int | None
) -> Plan:
    """Check a file against the schema and make its requests.

    Parameters
    ----------
    seed
        Of the shuffle, which drops the times; None keeps the file's order.

    Raises
    ------
    BadData
        Naming every missing column, or the first values that do not fit.
    """
    named = columns.names
    scored = way == "predict"
    needed = (
        schema.names
        if scored
        else [feature.name for feature in schema.features if feature.pii != "drop"]
    )
    missing = [name for name in (*needed, *named) if name not in frame.columns]
    if missing:
        raise BadData(
            f"The file lacks these columns: {', '.join(map(repr, missing))}. Nothing was posted."
        )
    if way == "events" and schema.prediction is not None and columns.prediction is None:
        raise BadData(
            f"{model} has predictions: name their column with --prediction-column. Nothing was "
            f"posted."
        )
    requests: list[dict[str, Any]] = [
        {"features": row, "model": model} for row in rows_of(frame, schema, scored=scored)
    ]
    if way == "events" and columns.prediction is not None and schema.prediction is not None:
        made = json_values(answers_of(frame[columns.prediction], schema))
        for request, value in zip(requests, made, strict=True):
            request["prediction"] = value
    _check(requests, schema, way)
    if way == "events" and columns.time is not None and seed is None:
        for request, moment in zip(
            requests, times_of(frame[columns.time], schema.time), strict=True
        ):
            request["time"] = moment
    if seed is not None:
        requests = [requests[at] for at in np.random.default_rng(seed).permutation(len(requests))]
    used = {*schema.names, *named}
    return Plan(requests, [str(name) for name in frame.columns if name not in used])


def times_of(series: "pd.Series[Any]", form: TimeFormat | None = None) -> list[int]:
    """Return a time column as Unix milliseconds; a time without zone is UTC.

    Parameters
    ----------
    form
        How the times are written, as the version has it; None to find out.

    Examples
    --------
    >>> times_of(pd.Series(["01/02/1970 00:00", "13/02/1970 00:00"]))
    [2678400000, 3715200000]
    """
    try:
        found: list[int] = np.rint(event_times(series, form, "The file")[0]).astype(int).tolist()
    except BadData as error:
        raise BadData(f"{error} Nothing was posted.") from error
    return found


def _check(requests: Sequence[dict[str, Any]], schema: Schema, way: Way) -> None:
    """Refuse rows that the API would refuse."""
    faults: list[FieldError] = []
    for number, request in enumerate(requests, start=1):
        faults += schema.positional(request["features"], f"row {number}", scored=way == "predict")[
            1
        ]
        made = request.get("prediction")
        fault = schema.read_prediction(made)[1] if way == "events" else None
        if fault is not None:
            faults.append(FieldError(f"row {number}/prediction", fault))
    if faults:
        shown = "; ".join(
            f"{fault.field.replace('/', ', ', 1)} {fault.message}" for fault in faults[:SHOWN]
        )
        more = f" (and {len(faults) - SHOWN} more)" if len(faults) > SHOWN else ""
        raise BadData(
            f"The file does not fit the model's schema: {shown}{more}. Nothing was posted."
        )


async def post(
    client: httpx.AsyncClient,
    requests: Sequence[dict[str, Any]],
    way: Way,
    rate: float,
    posted: Callable[[int], None],
) -> None:
    """Post all requests, at most `rate` events a second (0: as fast as it goes).

    Parameters
    ----------
    posted
        Called with the number of events of each answered request.

    Raises
    ------
    BadData
        If the API refused some, when the others are posted; or all of a request, at once.
    """
    refused: list[str] = []
    total = 0
    size = BATCH if way == "events" else CONCURRENT
    if rate:
        size = max(1, min(size, int(rate / 10)))
    async for first, group in _paced(requests, size, rate):
        if way == "events":
            answer = await ask(client, "POST", "/events", json=group)
            for one in answer["rejected"]:
                total += 1
                if len(refused) < SHOWN:
                    refused.append(f"event {first + one['index'] + 1}: {one['reason']}")
            posted(len(group))
        else:
            await asyncio.gather(*(_predict(client, request, posted) for request in group))
    if refused:
        more = f" (and {total - SHOWN} more)" if total > SHOWN else ""
        raise BadData(
            f"The API refused {total} of {len(requests)} events: {'; '.join(refused)}{more}. The "
            "others were posted."
        )


async def _predict(
    client: httpx.AsyncClient, request: dict[str, Any], posted: Callable[[int], None]
) -> None:
    await ask(client, "POST", "/predict", json=request)
    posted(1)


async def _paced(
    requests: Sequence[dict[str, Any]], size: int, rate: float
) -> AsyncIterator[tuple[int, Sequence[dict[str, Any]]]]:
    """Yield groups of requests, each with the place of its first, as the rate allows."""
    started = time.monotonic()
    for first in range(0, len(requests), size):
        if rate:
            await asyncio.sleep(max(0.0, started + first / rate - time.monotonic()))
        yield first, requests[first : first + size]
