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
from driftgauge.shared.reference.frames import as_column, json_values, rows_of
from driftgauge.shared.reference.schema import FieldError, Schema

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
    named = [name for name in (columns.prediction, columns.time) if name is not None]
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
        made = json_values(as_column(frame[columns.prediction], schema.prediction))
        for request, value in zip(requests, made, strict=True):
            request["prediction"] = value
    _check(requests, schema, way)
    if way == "events" and columns.time is not None and seed is None:
        for request, moment in zip(requests, times_of(frame[columns.time]), strict=True):
            request["time"] = moment
    if seed is not None:
        requests = [requests[at] for at in np.random.default_rng(seed).permutation(len(requests))]
    used = {*schema.names, *named}
    return Plan(requests, [str(name) for name in frame.columns if name not in used])


def times_of(series: "pd.Series[Any]") -> list[int]:
    """Return a time column as Unix milliseconds; a time without zone is UTC, a number is Unix
    milliseconds.

    Day and month are told apart by the whole column.

    Examples
    --------
    >>> times_of(pd.Series(["01/02/1970 00:00", "13/02/1970 00:00"]))
    [2678400000, 3715200000]
    """
    if pd.api.types.is_numeric_dtype(series):
        moments = pd.to_datetime(series, unit="ms", utc=True, errors="coerce")
    else:
        moments = _parsed(series)
    bad = np.flatnonzero(moments.isna().to_numpy())
    if len(bad):
        at = int(bad[0])
        raise BadData(
            f"Row {at + 1} of column {series.name!r} is no time: {series.iloc[at]!r}. Use ISO "
            f"8601. Nothing was posted."
        )
    return [round(moment.timestamp() * 1000) for moment in moments]


def _parsed(series: "pd.Series[Any]") -> "pd.Series[pd.Timestamp]":
    """Parse text by one format for the whole column: ISO 8601, else month first, else day first."""
    first = str(series.iloc[0])
    attempts: list[dict[str, Any]] = [{"format": "ISO8601"}]
    for day_first in (False, True):
        guessed = pd.tseries.api.guess_datetime_format(first, dayfirst=day_first)
        attempts += [{"format": guessed}] if guessed else []
    parsed = [pd.to_datetime(series, utc=True, errors="coerce", **attempt) for attempt in attempts]
    return min(parsed, key=lambda moments: int(moments.isna().sum()))


def _check(requests: Sequence[dict[str, Any]], schema: Schema, way: Way) -> None:
    """Refuse rows that the API would refuse."""
    faults: list[FieldError] = []
    for number, request in enumerate(requests, start=1):
        faults += schema.positional(request["features"], f"row {number}", scored=way == "predict")[
            1
        ]
        fault = schema.prediction_fault(request.get("prediction")) if way == "events" else None
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
