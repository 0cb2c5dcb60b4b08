"""What processes log: one event a line, whatever is in it."""

import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.errors import BadData
from driftgauge.shared.telemetry import StandardError, as_json, configure_logging, line_logger

HOSTILE = 'a\nlevel=error "forged"\r\x1b[31m\x9b31m\x7f\u2028\u202e\ud800 é'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Kept:
    """A sink that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, line: str | bytes) -> None:
        self.lines.append(str(line))


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging is the process's own: give it back as it was."""
    root, ours = logging.getLogger(), logging.getLogger("driftgauge")
    levels = root.level, ours.level
    yield
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, StandardError)]
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(capture=False)


def configured(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> io.StringIO:
    """Log to a stream as if it were standard error; not in a fixture, since pytest sets its own
    when the test begins.
    """
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(
        logging.getLogger(), "handlers", []
    )  # pytest's report cannot hold what hostile text has
    logging.captureWarnings(
        capture=False
    )  # a command of an earlier test may have begun it under that test's warnings
    configure_logging()
    return stream


def log_ours(message: str) -> None:
    try:
        raise BadData(message)  # noqa: TRY301  it is what is tested
    except BadData:
        logging.getLogger("driftgauge").exception("It failed.")


def documents(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_logger_is_rendered_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our loggers, a library's and Python's warnings are JSON, one a line; libraries only from
    WARNING on.
    """
    lines = configured(monkeypatch, io.StringIO())
    logging.getLogger("driftgauge.worker").info("counted %d", 3)
    logging.getLogger("uvicorn.error").info("Application startup complete.")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("of a person's value", DeprecationWarning, stacklevel=1)
    ours, uvicorn, warned = documents(lines)
    assert (ours["level"], ours["logger"], ours["event"]) == (
        "info",
        "driftgauge.worker",
        "counted 3",
    )
    assert ours["timestamp"].endswith("Z")
    assert (uvicorn["level"], uvicorn["event"]) == ("warning", "Invalid HTTP request received.")
    assert warned["logger"] == "py.warnings"
    assert "DeprecationWarning at" in warned["event"]
    assert "person" not in str(warned)  # the text of a model's own warning can quote a row


def test_configured_again_it_logs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call replaces the first, its level included."""
    lines = configured(monkeypatch, io.StringIO())
    configure_logging("ERROR")
    logging.getLogger("driftgauge").warning("not this")
    logging.getLogger("driftgauge").error("this")
    assert [document["event"] for document in documents(lines)] == ["this"]


def test_no_message_can_forge_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrusted text stays inside its JSON string, for readers that break lines at other
    characters too.
    """
    lines = configured(monkeypatch, io.StringIO())
    logging.getLogger("driftgauge").error("got %s", HOSTILE)
    assert len(lines.getvalue().splitlines()) == 1
    text = lines.getvalue().removesuffix("\n")
    assert text.isprintable()
    assert "é" in text
    assert json.loads(text)["event"] == "got " + HOSTILE.replace("\ud800", "\\ud800")


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.text(st.characters(codec=None, categories=None), max_size=20),
        max_size=3,
    )
)
def test_any_text_is_one_line(event: dict[str, str]) -> None:
    """No text, halves of surrogate pairs included, makes a second line or stops the logger."""
    line = as_json(None, "info", dict(event))
    assert len(line.splitlines()) == 1
    assert json.loads(line)


def test_a_terminal_gets_colours_and_no_steering(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a line is text; untrusted text can neither begin a line nor colour or
    move anything.
    """
    terminal = configured(monkeypatch, Terminal())
    logging.getLogger("driftgauge").error("got %s", HOSTILE)
    kept = Kept()
    line_logger(kept, "INFO", terminal=True).info("request", route=HOSTILE)
    for text in (terminal.getvalue().removesuffix("\n"), kept.lines[0]):
        assert "\x1b[" in text  # our colours
        assert "\x1b[31mm" not in text
        assert "\\x1b[31m" in text
        assert len(text.splitlines()) == 1
        assert not set(text) & set("\r\x9b\x7f\u2028\u202e\ud800")


def test_an_exception_is_told_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library's message may quote a person's value, so it is left out, its cause's too; ours
    quote none and are told.
    """
    lines = configured(monkeypatch, io.StringIO())
    try:
        try:
            float("planted@example.org")
        except ValueError as error:
            raise KeyError("planted@example.org") from error
    except KeyError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    log_ours("The file is empty.")
    foreign, ours = documents(lines)
    assert "planted" not in lines.getvalue()
    assert foreign["exception"].startswith("ValueError\n")
    assert "\nKeyError\n" in foreign["exception"]
    assert "test_telemetry.py" in foreign["exception"]
    assert "exc_info" not in foreign
    assert ours["exception"].startswith("BadData: The file is empty.")


def test_an_exception_keeps_its_lines_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a person the frames stand below each other."""
    terminal = configured(monkeypatch, Terminal())
    log_ours("evil \x1b[31m")
    assert len(terminal.getvalue().splitlines()) == 3
    assert "evil \\x1b[31m" in terminal.getvalue()


def test_lines_below_the_level_cost_nothing() -> None:
    """The logger for many lines filters before it renders."""
    kept = Kept()
    line_logger(kept, "WARNING", terminal=False).info("request")
    assert kept.lines == []
    line_logger(kept, "INFO", terminal=False).info("request", status=200)
    assert json.loads(kept.lines[0])["status"] == 200
