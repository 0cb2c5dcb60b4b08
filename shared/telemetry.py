"""Logging: one line for each event on standard error, as JSON or, on a terminal, as coloured text.

Everything passes through the same renderer: our loggers (`driftgauge.…`), those of uvicorn and
other libraries, warnings, and the API's line for each request (producer/watching/access_log.py).
Control characters are escaped, so that no logged value can forge a line. An exception is logged by
its type and place. Its message is left out unless the exception is one of ours, because a library's
message can quote the value that it refused, and so a person's data.
"""

import logging
import re
import sys
import traceback
import warnings
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TextIO

import msgspec
import structlog
from structlog.processors import TimeStamper
from structlog.stdlib import ProcessorFormatter
from structlog.typing import FilteringBoundLogger, Processor

from driftgauge.shared.errors import DriftgaugeError

EventDict = MutableMapping[str, Any]

FORBIDDEN: Final = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Characters, besides ASCII's control characters, that are escaped: C1 controls, line separators,
text directions, and halves of surrogate pairs.
"""
_BEYOND_ASCII: Final = re.compile(f"[{FORBIDDEN}]")
_CONTROL: Final = re.compile(f"[\x00-\x1f{FORBIDDEN}]")
_CONTROL_BUT_LINES: Final = re.compile(f"[\x00-\x09\x0b-\x1f{FORBIDDEN}]")
LEVELS: Final = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
}

_encode: Final = msgspec.json.Encoder(enc_hook=str).encode


class Sink(Protocol):
    """Something that rendered lines are written to."""

    def info(self, line: str | bytes) -> None:
        """Write a line, which has no newline at its end."""


class StandardError(logging.StreamHandler[TextIO]):
    """A log handler that writes to the current standard error, even if that was replaced."""

    @property
    def stream(self) -> TextIO:
        """The current standard error."""
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """Ignore the stream that `logging` sets when the handler is made."""


def configure_logging(level: str = "INFO") -> None:
    """Send everything that this process logs to standard error: as text on a terminal, else JSON.

    Parameters
    ----------
    level
        Least level of our own loggers. Libraries log from WARNING on, or from `level` if that is
        more severe.
    """
    handler = StandardError()
    before: list[Processor] = [structlog.stdlib.add_logger_name, exceptions_by_place]
    after: list[Processor] = [
        ProcessorFormatter.remove_processors_meta,
        *renderers(terminal=sys.stderr.isatty()),
    ]
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=before, processors=after))
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, StandardError)] + [
        handler
    ]
    root.setLevel(max(logging.WARNING, LEVELS[level]))
    logging.getLogger("driftgauge").setLevel(LEVELS[level])
    warnings_by_place()


def warnings_by_place() -> None:
    """Log Python's warnings by their kind and place alone: the text of a model's own warning, and
    the line of code that Python shows, can quote the values that it was called with.
    """
    warnings.showwarning = _logged


def _logged(
    message: Warning | str,  # noqa: ARG001  it can quote a value
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001  Python's signature
    line: str | None = None,  # noqa: ARG001
) -> None:
    logging.getLogger("py.warnings").warning("%s at %s:%d", category.__name__, filename, lineno)


def line_logger(sink: Sink, level: str, *, terminal: bool) -> FilteringBoundLogger:
    """Make a fast logger for many lines: it bypasses `logging` and writes to a sink.

    Parameters
    ----------
    level
        Least level that is logged.
    terminal
        If true, lines are coloured text, otherwise JSON.
    """
    logger: FilteringBoundLogger = structlog.wrap_logger(
        sink,
        processors=renderers(terminal=terminal),
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=True,
    ).bind()
    return logger


def renderers(*, terminal: bool) -> list[Processor]:
    """Return the structlog processors that render an event as a line."""
    if not terminal:
        return [as_json]
    console = structlog.dev.ConsoleRenderer(
        colors=True, exception_formatter=structlog.dev.plain_traceback
    )
    return [
        TimeStamper(fmt="iso", utc=True),
        structlog.processors.add_log_level,
        without_controls,
        console,
    ]


def as_json(_: object, level: str, event: EventDict) -> str:
    r"""Render an event as one line of JSON, with all control characters escaped.

    Examples
    --------
    >>> as_json(None, "info", {"event": "a\nb\u2028"}).partition(",")[2]
    '"level":"info","event":"a\\nb\\u2028"}'
    """
    document = {"timestamp": datetime.now(UTC), "level": level, **event}
    try:
        line = _encode(document)
    except UnicodeEncodeError:  # half of a surrogate pair, which a client's JSON may hold
        line = _encode({_paired(name): _paired(value) for name, value in document.items()})
    if line.isascii() and b"\x7f" not in line:
        return line.decode()
    return _BEYOND_ASCII.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode())


def without_controls(_: object, __: str, event: EventDict) -> EventDict:
    r"""Escape control characters in names and values; an exception keeps its newlines.

    Examples
    --------
    >>> without_controls(None, "info", {"event": "a\x1b[31m\n"})
    {'event': 'a\\x1b[31m\\n'}
    """
    return {
        _escaped(name, _CONTROL): _escaped(
            value if isinstance(value, str) else str(value), _pattern(name)
        )
        for name, value in event.items()
    }


def exceptions_by_place(_: object, __: str, event: EventDict) -> EventDict:
    """Replace the exception information of an event by `place_of` the exception."""
    found = event.pop("exc_info", None)
    error = (
        found[1]
        if isinstance(found, tuple)
        else found
        if isinstance(found, BaseException)
        else None
    )
    if error is not None:
        event["exception"] = place_of(error)
    event.pop("exc_text", None)
    return event


def place_of(error: BaseException) -> str:
    """Describe an exception by its type and stack frames, its causes first.

    Its message is included only if the exception is one of ours (DriftgaugeError).

    Examples
    --------
    >>> try:
    ...     float("a person's name")
    ... except ValueError as error:
    ...     place_of(error).startswith("ValueError"), "person" in place_of(error)
    (True, False)
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    message = f": {error}" if isinstance(error, DriftgaugeError) else ""
    frames = [
        f"  {frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    own = "\n".join([f"{type(error).__name__}{message}", *frames])
    return f"{place_of(cause)}\n{own}" if cause is not None else own


def _pattern(name: str) -> "re.Pattern[str]":
    return _CONTROL_BUT_LINES if name == "exception" else _CONTROL


def _escaped(text: str, pattern: "re.Pattern[str]") -> str:
    return pattern.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _paired(value: object) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()
