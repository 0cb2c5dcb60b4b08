"""A batch: its rows are checked, scored and published in blocks, and each row is answered.

    body ──► temporary file ──► rows ──► block ──► scorer (takes turns with /predict) ──► publisher ──► answers

The whole body is first written to an unnamed file on disk: so a client may send everything before
it reads anything, and a batch that is unusable as a whole is refused before any row is scored. Only
one block is in memory at a time.
"""  # noqa: E501  a table, or what an example prints

import asyncio
import io
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, Literal, cast

import msgspec
from fastapi import Request

from driftgauge.producer.http.problems import RETRY_AFTER, Problem
from driftgauge.producer.intake.csv_rows import CsvRows, Lines
from driftgauge.producer.intake.encodings import Coding, TooMuch, coding_of, unpacked
from driftgauge.producer.intake.json_rows import JsonRows
from driftgauge.producer.intake.object_rows import ObjectRows
from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.intake.rows import NO_COLUMNS, InputRow, InputRows, RowColumns
from driftgauge.producer.intake.turns import check_containers
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.producer.publishing.receipts import Outcome
from driftgauge.producer.scoring.estimator import Score
from driftgauge.producer.scoring.scorer import Scorer
from driftgauge.producer.scoring.serving import ServedVersion, Serving
from driftgauge.shared.contract.events import Prediction, Source, Value
from driftgauge.shared.errors import BadData
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.otel.steps import carried_now
from driftgauge.shared.reference.schema import FieldError
from driftgauge.shared.settings import Settings
from driftgauge.shared.tables import arrow, json_lines
from driftgauge.shared.tables.recognising import HEAD_BYTES, kind_of_file

WRITE_BYTES: Final = 1 << 20
PATIENCE_S: Final = 10.0
"""Total time (s) that a batch waits for room in the queue; after it, rows are scored but not
published.
"""
ROOM_POLL_S: Final = 0.05
MOST_BATCHES: Final = 16
"""Most batches of one process that are being sent, scored or answered."""
NOT_USABLE: Final = FieldError("", "the model gave no usable prediction for these features")

Form = Literal["csv", "json", "json_lines", "parquet", "arrow"]
Status = Literal["ok", "invalid", "failed"]
FORM_NAMES: Final[dict[Form, str]] = {
    "csv": "CSV",
    "json": "JSON",
    "json_lines": "JSON lines",
    "parquet": "Parquet",
    "arrow": "Arrow",
}


class RowAnswer(msgspec.Struct, omit_defaults=True):
    """Answer for a row.

    Parameters
    ----------
    row
        Number of the row, from 1.
    status
        `ok`; `invalid` if it does not fit the schema; `failed` if the model returned no usable
        prediction.
    line
        Line of the CSV file where the row begins, from 1; None in JSON.
    event
        Outcome of its event; None if there is none, since only rows that are ok are published.
    errors
        Every fault of the row.
    """

    row: int
    status: Status
    line: int | None = None
    id: str | None = None
    prediction: float | str | None = None
    probabilities: list[float] | None = None
    event: Outcome | None = None
    errors: Sequence[FieldError] = ()


class Batch:
    """A received and usable batch; it must be closed.

    Parameters
    ----------
    rows
        Rows of the file.
    served
        The version that scores all of it, whatever is promoted meanwhile.
    source
        Source of its events.
    """

    def __init__(
        self,
        parts: "Batches",
        file: io.TextIOWrapper,
        rows: InputRows,
        served: ServedVersion,
        source: Source,
    ) -> None:
        self.served = served
        self._parts = parts
        self._file = file
        self._read: Iterator[InputRow] = rows.read(served.schema)
        self._source = source
        self._patience_s = PATIENCE_S
        self._fault = NOT_USABLE

    async def answers(self) -> AsyncIterator[list[RowAnswer]]:
        """Score and publish block after block; stops where the caller does."""
        while block := await asyncio.to_thread(self._next_block):
            fit = [row for row in block if not row.faults]
            self._count(block, len(fit))
            scores = await self._score(fit) if fit else []
            features = self.served.features_of([row.values for row in fit])
            events = {
                row.number: self._event(row, score, published)
                for row, score, published in zip(fit, scores, features, strict=True)
                if score
            }
            outcome = await self._publish(list(events.values()))
            yield [_answer(row, events.get(row.number), outcome, self._fault) for row in block]

    async def _score(self, rows: Sequence[InputRow]) -> list[Score | None]:
        """Score a block; a model that hangs fails its rows, and the answer goes on to its end."""
        self._fault = NOT_USABLE
        try:
            return await self._parts.scorer.score_block(self.served, [row.values for row in rows])
        except Problem as problem:
            self._fault = FieldError("", problem.detail)
            return [None] * len(rows)

    def _count(self, block: Sequence[InputRow], fit: int) -> None:
        """Count the accepted and the refused rows."""
        self._parts.refusals.take(self.served.model, fit)
        for row in block:
            if row.faults:
                self._parts.refusals.refuse(self.served.model, self.served.schema, row.faults)

    def close(self) -> None:
        """Let go of the file."""
        self._parts.close(self._file)

    def _next_block(self) -> list[InputRow]:
        return list(islice(self._read, self._parts.block_rows))

    def _event(self, row: InputRow, score: Score, features: list[Value]) -> Prediction:
        now = time.time_ns() // 1_000_000
        return Prediction(
            id=new_id() if row.id is None else row.id,
            version=self.served.version,
            time=now if row.time is None else row.time,
            features=features,
            prediction=score.prediction,
            source=self._source,
            client_id=row.id is not None,
            probabilities=score.probabilities,
            received=None if row.id is None else now,
            trace=carried_now(),
        )

    async def _publish(self, events: Sequence[Prediction]) -> Outcome:
        """Publish a block. At most half of the queue is a batch's: a single prediction finds
        room.
        """
        publisher = self._parts.publisher
        while not publisher.has_room(len(events) + self._parts.reserve) and self._patience_s > 0:
            self._patience_s -= ROOM_POLL_S
            await asyncio.sleep(ROOM_POLL_S)
        if not publisher.has_room(len(events) + self._parts.reserve):
            publisher.drop(len(events))
            return "dropped"
        return await publisher.publish_many(self.served.model, events) if events else "published"


class Batches:
    """Receives batches.

    Attributes
    ----------
    block_rows
        Rows that are scored and published at a time.
    reserve
        Room in the queue that is left to others, in events.
    """

    def __init__(
        self,
        settings: Settings,
        serving: Serving,
        scorer: Scorer,
        publisher: Publisher,
        refusals: Refusals,
    ) -> None:
        self.serving = serving
        self.scorer = scorer
        self.publisher = publisher
        self.refusals = refusals
        self.reserve = settings.queue_events // 2
        self.block_rows = min(
            settings.score_batch_rows, max(1, settings.queue_events - self.reserve)
        )
        self.max_rows = settings.batch_max_rows
        self._max_bytes = settings.batch_max_bytes
        self._folder = settings.data_dir
        self._open = 0

    async def take(
        self,
        request: Request,
        form: Form,
        model: str | None,
        version: str | None,
        beside: RowColumns = NO_COLUMNS,
    ) -> Batch:
        """Take a request's body in, and find out whether it can be used.

        Parameters
        ----------
        model, version
            As the address names them; a JSON document may name them instead.
        beside
            Columns that are no features.

        Raises
        ------
        Problem
            If the batch as a whole cannot be used; nothing was scored then.
        """
        if self._open >= MOST_BATCHES:
            raise Problem(
                503,
                f"{MOST_BATCHES} batches are being received or scored, the most at a time. Nothing "
                "was scored; send it again later.",
                (),
                RETRY_AFTER,
            )
        self._open += 1
        try:
            file = await asyncio.to_thread(_text_file, self._folder)
        except BaseException as error:
            self._open -= 1
            if isinstance(error, OSError):
                raise self._no_room(error) from error
            raise
        try:
            await self._receive(request, file)
            await asyncio.to_thread(_check_form, file, form)
            rows = _rows_of(file, form, beside)
            await self._check_size(rows)
            named = rows.model()
            served = await self.serving.predicting(named[0] or model, named[1] or version)
            self.scorer.require_answering(served)
            source: Source = "batch" if self.serving.source_of(served) == "online" else "shadow"
            return await self._begin(file, rows, served, source)
        except BaseException as error:
            self.close(file)
            if isinstance(error, OSError):
                raise self._no_room(error) from error
            raise

    def close(self, file: io.TextIOWrapper) -> None:
        """Let go of a batch's file."""
        if not file.closed:
            file.close()
            self._open -= 1

    async def _begin(
        self, file: io.TextIOWrapper, rows: InputRows, served: ServedVersion, source: Source
    ) -> Batch:
        """Begin to read the rows; a file of which no row can fit is counted as one refused
        event.
        """
        try:
            return await asyncio.to_thread(Batch, self, file, rows, served, source)
        except Problem as problem:
            self.refusals.refuse(served.model, served.schema, problem.errors)
            raise

    async def _check_size(self, rows: InputRows) -> None:
        if await asyncio.to_thread(rows.count, self.max_rows) > self.max_rows:
            raise Problem(
                413,
                f"The batch has more than {self.max_rows} rows, the most at a time "
                f"(DRIFTGAUGE_BATCH_MAX_ROWS). Nothing was "
                "scored; send it in parts.",
            )

    def _no_room(self, error: OSError) -> Problem:
        return Problem(
            507,
            f"A batch needs room in the API's data folder (DRIFTGAUGE_DATA_DIR): {error.strerror}. "
            f"Nothing was scored.",
        )

    async def _receive(self, request: Request, file: io.TextIOWrapper) -> None:
        """Write the body to a file, a megabyte at a time; a compressed one is unpacked into it."""
        coding, plain = coding_of(request.headers), cast(IO[bytes], file.buffer)
        if coding is None:
            await self._write(request, plain)
            return
        with await asyncio.to_thread(_file, self._folder) as packed:
            await self._write(request, packed)
            await asyncio.to_thread(self._unpack, packed, coding, plain)

    def _unpack(self, packed: IO[bytes], coding: Coding, file: IO[bytes]) -> None:
        packed.seek(0)
        try:
            for piece in unpacked(packed, coding, self._max_bytes):
                file.write(piece)
        except TooMuch:
            raise self._too_large("it is unpacked") from None

    def _too_large(self, when: str = "") -> Problem:
        return Problem(
            413,
            f"The body is larger than {self._max_bytes} bytes{f' when {when}' if when else ''} "
            f"(DRIFTGAUGE_BATCH_MAX_BYTES). Nothing was scored; send it in parts.",
        )

    async def _write(self, request: Request, file: IO[bytes]) -> None:
        size = 0
        waiting = bytearray()
        async for chunk in request.stream():
            size += len(chunk)
            if size > self._max_bytes:
                raise self._too_large()
            waiting += chunk
            if len(waiting) >= WRITE_BYTES:
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(file.write, bytes(waiting))


def _check_form(file: io.TextIOWrapper, form: Form) -> None:
    """Name the form of a body that is sent as another one.

    Raises
    ------
    Problem
        400 if it seems to be something else.
    """
    binary = cast(io.BufferedIOBase, file.buffer)
    binary.seek(0)
    head = binary.read(HEAD_BYTES)
    if not head or form == "json":
        return  # a document names its own faults
    try:
        found = kind_of_file(head, "utf-8")
    except BadData as error:
        raise Problem(400, f"The body is no {FORM_NAMES[form]}: {error}.") from error
    if found != form:
        raise Problem(
            400,
            f"The body is sent as {FORM_NAMES[form]}, but this looks like {FORM_NAMES[found]}; say "
            f"so as Content-Type.",
        )


def _rows_of(file: io.TextIOWrapper, form: Form, beside: RowColumns) -> InputRows:
    """Read a body in its form."""
    if form == "csv":
        return CsvRows(file, beside)
    if form == "json":
        return JsonRows(file, beside)
    if form == "json_lines":

        def lines() -> Iterator[tuple[int, dict[str, Any]]]:
            file.seek(0)
            return json_lines.objects(_bounded(file))

        return ObjectRows(lines, beside)

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        binary = cast(io.BufferedIOBase, file.buffer)
        binary.seek(0)
        return enumerate(arrow.objects(binary, form), start=1)

    return ObjectRows(rows, beside)


def _bounded(file: io.TextIOWrapper) -> Iterator[str]:
    """Read the lines of a file; 413 for one that is too long."""
    lines = Lines(file)
    for line in lines:
        lines.characters = 0
        check_containers(line)
        yield line


def _text_file(folder: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(_file(folder), encoding="utf-8-sig", newline="")


def _file(folder: Path) -> IO[bytes]:
    """Open a file that nobody else can open, and that is gone when it is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)


def _answer(
    row: InputRow, event: Prediction | None, outcome: Outcome, fault: FieldError
) -> RowAnswer:
    if row.faults:
        return RowAnswer(row.number, "invalid", row.line, errors=row.faults)
    if event is None:
        return RowAnswer(row.number, "failed", row.line, errors=[fault])
    return RowAnswer(
        row.number, "ok", row.line, event.id, event.prediction, event.probabilities, outcome
    )
