"""Access log: one line for each request, with an id that is the client's if it is well-formed, else
made here.

Routes note in the request's scope which predictions they made; the layer around the app
(producer/watching/meter.py) writes the line when the answer begins. Lines of one turn of the event
loop are written together: at full load one call for many requests.
"""

import asyncio
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import IO, Any, Final

from starlette.types import Scope

from driftgauge.producer.scoring.serving import ServedVersion
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.settings import Settings
from driftgauge.shared.telemetry import line_logger

REQUEST_ID: Final = "request_id"
"""Key of the request's id in its scope."""
PREDICTIONS: Final = "predictions"
"""Key in a request's scope under which a route notes its predictions with their versions for the
line.
"""
TRACE: Final = "driftgauge.trace"
"""Key in a request's scope of the trace that it is part of, if it is traced."""
HEADER: Final = b"x-request-id"
WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Lines:
    """Writes rendered lines, those of one turn of the event loop at once."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._waiting: list[str] = []

    def info(self, line: str | bytes) -> None:
        """Take a line; structlog calls the method by the line's level."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        self._waiting.append(line if isinstance(line, str) else line.decode())

    def _write(self) -> None:
        self._waiting.append("")
        text = "\n".join(self._waiting)
        self._waiting.clear()
        with suppress(OSError, ValueError):  # standard error is closed: there is nowhere to say so
            self._stream.write(text)
            self._stream.flush()


class AccessLog:
    """Gives requests their ids, and writes their lines.

    Parameters
    ----------
    settings
        Settings of the log: whether lines are written, from which level on, and whether with
        features.
    stream
        Stream that lines are written to; standard error by default.
    """

    def __init__(self, settings: Settings, stream: IO[str] | None = None) -> None:
        stream = sys.stderr if stream is None else stream
        self._info = line_logger(Lines(stream), settings.log_level, terminal=stream.isatty()).info
        self._writes = settings.access_log and settings.log_level in {"DEBUG", "INFO"}
        self._with_features = settings.log_features
        self._process = os.urandom(8).hex()
        self._number = count(1)

    def identify(self, scope: Scope) -> bytes:
        """Give a request its id and return it as the value of a header."""
        for name, value in scope["headers"]:
            if name == HEADER and WELL_FORMED.fullmatch(value):
                scope[REQUEST_ID] = value.decode()
                return bytes(value)
        made = scope[REQUEST_ID] = f"{self._process}-{next(self._number)}"
        return made.encode()

    def write(self, scope: Scope, route: str, status: int, seconds: float) -> None:
        """Write the line of a request."""
        if self._writes:
            self._info(
                "request",
                request_id=scope[REQUEST_ID],
                method=scope["method"],
                route=route,
                status=status,
                latency_ms=round(seconds * 1000, 3),
                **({"trace_id": scope[TRACE]} if TRACE in scope else {}),
                **self._predictions(scope.get(PREDICTIONS)),
            )

    def _predictions(
        self, made: Sequence[tuple[ServedVersion, Prediction]] | None
    ) -> dict[str, Any]:
        """Describe the predictions of a request: one by its id, many by their number and models."""
        if not made:
            return {}
        if len(made) > 1:
            versions = {(served.model, served.version) for served, _ in made}
            return {
                "predictions": len(made),
                "models": sorted(f"{model} {version}" for model, version in versions),
            }
        served, event = made[0]
        line: dict[str, Any] = {
            "prediction_id": event.id,
            "model": served.model,
            "version": event.version,
        }
        if self._with_features:
            line["features"] = dict(zip(served.schema.stream.names, event.features, strict=True))
        return line
