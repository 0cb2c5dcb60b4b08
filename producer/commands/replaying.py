"""Replay: a file's rows as traffic to a running API.

The whole file is checked against the model's schema before the first row is posted.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import numpy as np
import pandas as pd

from driftgauge.shared.connections.api_client import ask
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import answers_of, as_column, json_values, rows_of
from driftgauge.shared.reference.pii import text_of
from driftgauge.shared.reference.schema import FieldError, Schema
from driftgauge.shared.reference.times import event_times
from driftgauge.shared.tables.format import TimeFormat
from driftgauge.shared.tables.pace import paced

BATCH = 500
CONCURRENT = 32
SHOWN = 5
MAX_ID = 128
"""Most characters of an id, as the API takes it."""

Way = Literal["events", "predict"]


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a file that are not features.

    Parameters
    ----------
    prediction
        Column of the predictions that were made; None lets the API predict.
    time
        The event times.
    id
        The predictions' ids, each different.
    probabilities
        The probabilities of the classes, in their order; of two classes, that of the second is
        enough.
    """

    prediction: str | None = None
    time: str | None = None
    id: str | None = None
    probabilities: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are named."""
        single = (self.prediction, self.time, self.id)
        return (*(name for name in single if name is not None), *self.probabilities)


@dataclass(frozen=True)
class Plan:
    """What is to be posted.

    Parameters
    ----------
    requests
        In the file's order, or shuffled.
    ignored
        Columns that are left out.
    places
        Row of the file of each request, from 0.
    """

    requests: list[dict[str, Any]]
    ignored: list[str]
    places: list[int]


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the rows of several files, which have the same columns.

    Raises
    ------
    BadData
        If they have not.
    """
    first, *others = frames
    for number, other in enumerate(others, start=2):
        if {*other.columns} != {*first.columns}:
            names = ", ".join(sorted(map(str, {*other.columns} ^ {*first.columns})))
            raise BadData(
                f"File {number} has other columns than the first one: {names}. Nothing was posted."
            )
    return pd.concat(frames, ignore_index=True) if others else first


def plan(
    frame: pd.DataFrame, schema: Schema, model: str, columns: Columns, way: Way, seed: int | None
) -> Plan:
    """Check a file against the schema and make its requests.

    Parameters
    ----------
    seed
        Seed of the shuffle, which drops the times; None keeps the file's order.

    Raises
    ------
    BadData
        If columns are missing or values do not fit; the message names every column, or the first
        values.
    """
    scored = way == "predict"
    _check_columns(frame, schema, model, columns, way)
    requests: list[dict[str, Any]] = [
        {"features": row, "model": model} for row in rows_of(frame, schema, scored=scored)
    ]
    for field, values in _given(frame, schema, columns, way):
        for request, value in zip(requests, values, strict=True):
            request[field] = value
    _check(requests, schema, way)
    if way == "events" and columns.time is not None and seed is None:
        moments = times_of(frame[columns.time], schema.time)
        for request, moment in zip(requests, moments, strict=True):
            request["time"] = moment
    places = list(range(len(requests)))
    if seed is not None:
        places = np.random.default_rng(seed).permutation(len(requests)).tolist()
    used = {*schema.names, *columns.names}
    return Plan(
        [requests[at] for at in places],
        [str(name) for name in frame.columns if name not in used],
        places,
    )


def _check_columns(
    frame: pd.DataFrame, schema: Schema, model: str, columns: Columns, way: Way
) -> None:
    """Refuse a file that lacks a column."""
    needed = [one.name for one in schema.features if way == "predict" or one.pii != "drop"]
    missing = [name for name in (*needed, *columns.names) if name not in frame.columns]
    if missing:
        raise BadData(
            f"The file lacks these columns: {', '.join(map(repr, missing))}. Nothing was posted."
        )
    if way == "events" and schema.prediction is not None and columns.prediction is None:
        raise BadData(
            f"{model} has predictions: name their column with --prediction-column. Nothing was "
            f"posted."
        )


def _given(
    frame: pd.DataFrame, schema: Schema, columns: Columns, way: Way
) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield what the file says of each row beside features and times: the request's field, and its
    values.
    """
    if columns.id is not None:
        yield "id", _ids(frame[columns.id])
    if way == "predict":
        return
    if columns.prediction is not None and schema.prediction is not None:
        yield "prediction", json_values(answers_of(frame[columns.prediction], schema))
    if columns.probabilities:
        yield "probabilities", _shares(frame, schema, columns)


def _ids(column: "pd.Series[Any]") -> list[str]:
    """Return a column's ids as texts.

    Raises
    ------
    BadData
        If one is missing, too long, or stands there twice: it would count once.
    """
    ids = [
        "" if missing else text_of(one) for one, missing in zip(column, column.isna(), strict=True)
    ]
    for row, one in enumerate(ids, start=1):
        if not 0 < len(one) <= MAX_ID:
            raise BadData(
                f"Row {row} of column {column.name!r} is no id of 1 to {MAX_ID} characters. "
                f"Nothing was posted."
            )
    twice = pd.Series(ids).duplicated().to_numpy()
    if twice.any():
        raise BadData(
            f"The id in row {int(np.argmax(twice)) + 1} of column {column.name!r} stands there "
            f"before ({int(twice.sum())} rows are so), and would count once. Nothing was posted."
        )
    return ids


def _shares(frame: pd.DataFrame, schema: Schema, columns: Columns) -> list[list[float] | None]:
    """Return the probabilities of each row in the order of the classes; None where all are
    missing.
    """
    found = np.column_stack(
        [
            as_column(frame[name], Feature(name, "numeric"), schema.table)
            for name in columns.probabilities
        ]
    )
    if len(columns.probabilities) == 1 and len(schema.classes) == 2:
        found = np.column_stack([1 - found, found])
    missing = np.isnan(found).all(axis=1)
    rows = [None if gone else row for row, gone in zip(found.tolist(), missing, strict=True)]
    for number, row in enumerate(rows, start=1):
        fault = schema.probabilities_fault(row)
        if fault is not None:
            raise BadData(
                f"The probabilities of row {number} ({', '.join(columns.probabilities)}) {fault}. "
                f"Nothing was posted."
            )
    return rows


def pace(requests: Sequence[dict[str, Any]], per_day: float, start_ms: int) -> None:
    """Set the times of requests to those of a stated rate, in their order."""
    for request, moment in zip(
        requests, paced(len(requests), per_day, start_ms).tolist(), strict=True
    ):
        request["time"] = moment


async def busy_until(client: httpx.AsyncClient, model: str) -> int | None:
    """Ask how far a model's logical time is, in Unix milliseconds; None without predictions.

    It is the time of the latest prediction, and what passed since it came.

    Raises
    ------
    DriftgaugeError
        If the API does not tell: the key has not the scope read, say.
    """
    found = await ask(client, "GET", "/predictions", params={"model": model, "limit": 1})
    if not found["predictions"]:
        return None
    latest = found["predictions"][0]
    happened, came = (milliseconds(latest[name]) or 0 for name in ("time", "entered"))
    return happened + max(0, time.time_ns() // 1_000_000 - came)


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
    query: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Post all requests, at most `rate` events a second (0: as fast as it goes).

    Parameters
    ----------
    posted
        Function that is called with the number of events of each answered request.
    query
        What names the publisher of numbered events.

    Returns
    -------
    list
        Of each event its id, and if the model predicted the prediction; or the reason why it was
        refused.

    Raises
    ------
    BadData
        If the API refuses all of a request, at once.
    """
    answers: list[dict[str, Any]] = []
    size = BATCH if way == "events" else CONCURRENT
    if rate:
        size = max(1, min(size, int(rate / 10)))
    async for group in _paced(requests, size, rate):
        if way == "events":
            answer = await ask(client, "POST", "/events", json=group, params=query or {})
            refused = {one["index"]: {"reason": one["reason"]} for one in answer["rejected"]}
            ids = iter(answer["ids"])
            answers += [refused.get(at) or {"id": next(ids)} for at in range(len(group))]
            posted(len(group))
        else:
            answers += await asyncio.gather(
                *(_predict(client, request, posted) for request in group)
            )
    return answers


async def _predict(
    client: httpx.AsyncClient, request: dict[str, Any], posted: Callable[[int], None]
) -> dict[str, Any]:
    answer: dict[str, Any] = await ask(client, "POST", "/predict", json=request)
    posted(1)
    return answer


def check_taken(answers: Sequence[dict[str, Any]]) -> None:
    """Say which events were refused.

    Raises
    ------
    BadData
        If there are any; the others were posted.
    """
    refused = [
        f"event {place}: {one['reason']}"
        for place, one in enumerate(answers, start=1)
        if "reason" in one
    ]
    if refused:
        more = f" (and {len(refused) - SHOWN} more)" if len(refused) > SHOWN else ""
        raise BadData(
            f"The API refused {len(refused)} of {len(answers)} events: "
            f"{'; '.join(refused[:SHOWN])}{more}. The others were posted."
        )


def answered(
    frame: pd.DataFrame, plan_: Plan, answers: Sequence[dict[str, Any]], columns: Columns
) -> pd.DataFrame:
    """Return what was posted as a table in the file's order: row, id (none where the API refused
    it), prediction, and the file's columns that are no features, by which labels can be joined.
    """
    order = np.argsort(plan_.places)
    made = [answers[at].get("prediction", plan_.requests[at].get("prediction")) for at in order]
    found = pd.DataFrame(
        {
            "row": np.sort(plan_.places) + 1,
            "id": [answers[at].get("id") for at in order],
            "prediction": pd.Series(made, dtype=object),
        }
    )
    kept = [name for name in (*plan_.ignored, *columns.names) if name not in found.columns]
    for name in kept:
        found[name] = frame[name].to_numpy()[np.sort(plan_.places)]
    return found


async def _paced(
    requests: Sequence[dict[str, Any]], size: int, rate: float
) -> AsyncIterator[Sequence[dict[str, Any]]]:
    """Yield groups of requests, as the rate allows."""
    started = time.monotonic()
    for first in range(0, len(requests), size):
        if rate:
            await asyncio.sleep(max(0.0, started + first / rate - time.monotonic()))
        yield requests[first : first + size]
