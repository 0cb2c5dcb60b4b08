"""The items of a body that is one JSON object, a list of objects, or a line of JSON for each
(newline-delimited JSON): events, or labels.

A small body is decoded at once. A large one is cut into the texts of its items first, in a thread:
so they are counted before anything is built of them, no call takes long, and a fault of one does
not affect the others.
"""

import io
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.documents import NotJson, decode
from driftgauge.producer.intake.json_rows import JsonText
from driftgauge.producer.intake.rows import MAX_ROW
from driftgauge.producer.intake.turns import AT_ONCE, Turns, check_containers, run

ARRAY: Final = b"["
SPACES: Final = b" \t\r\n"

LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
"""Media types of newline-delimited JSON."""

_decode = msgspec.json.Decoder().decode


class Items:
    """The items of a body.

    Attributes
    ----------
    many
        Whether the body is a list.
    flaw
        Why the body as a whole is no JSON, if it can be read nevertheless (`decode`); None for a
        large list, whose items are read one by one.
    """

    def __init__(self, found: list[Any], flaw: Problem | None, *, many: bool, cut: bool) -> None:
        self.many = many
        self.flaw = flaw
        self._found = found
        self._cut = cut

    async def __aiter__(self) -> AsyncIterator[tuple[Any, bool]]:
        """Yield each item, and whether it is, or stands in, something that is no JSON; others get
        turns.
        """
        turns = Turns()
        for found in self._found:
            if self._cut:
                yield await run(len(found), _item, found)
            else:
                yield found, self.flaw is not None
            await turns.offer()


def is_lines(content_type: str) -> bool:
    """Tell whether a body is newline-delimited JSON.

    >>> is_lines("application/x-ndjson; charset=utf-8"), is_lines("application/json")
    (True, False)
    """
    return content_type.partition(";")[0].strip().lower() in LINES


async def items_of(body: bytes, most: int, what: str, *, lines: bool = False) -> Items:
    """Read the items of a body.

    Parameters
    ----------
    most
        Items that a request may have.
    what
        Name of the items, for messages.
    lines
        Whether each line is an item; one that is no JSON is a `NotJson`.

    Raises
    ------
    Problem
        400 if it is no JSON, 413 if it has more items or an item is too long.
    """
    if lines:
        found = await run(len(body), _lines, body, most, what)
        return Items(found, None, many=True, cut=True)
    if len(body) > AT_ONCE and body.lstrip(SPACES).startswith(ARRAY):
        texts, flaw, many, cut = await run(len(body), _texts, body, most), None, True, True
    else:
        if len(body) > MAX_ROW:
            raise Problem(413, f"The body is no list, and has more than {MAX_ROW} bytes.")
        document, flaw = await run(len(body), decode, body)
        many, cut = isinstance(document, list), False
        texts = document if many else [document]
    if len(texts) > most:
        raise too_many(most, what)
    return Items(texts, flaw, many=many, cut=cut)


def too_many(most: int, what: str) -> Problem:
    """Make the answer to a request with too many events or labels."""
    return Problem(
        413,
        f"These are more than {most} {what}; send at most {most} at a time "
        f"(DRIFTGAUGE_EVENTS_MAX_ROWS).",
    )


def _texts(body: bytes, most: int) -> list[str]:
    """Cut a list into the texts of its items, one more than `most` at most."""
    document = JsonText(io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", newline=""))
    texts: list[str] = []
    for text in document.items():
        texts.append(text)
        if len(texts) > most:
            return texts
    document.end()
    return texts


def _lines(body: bytes, most: int, what: str) -> list[bytes]:
    """Cut a body into its lines, without empty ones.

    Raises
    ------
    Problem
        413 if there are more, or one of them is too long.
    """
    if body.count(b"\n") > 2 * most:
        raise too_many(most, what)
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > most:
        raise too_many(most, what)
    for line in lines:
        check_containers(line)
        if len(line) > MAX_ROW:
            raise Problem(413, f"A line has more than {MAX_ROW} bytes.")
    return lines


def _item(text: str | bytes) -> tuple[Any, bool]:
    """Decode the text of an item; true if only Python reads it, as NaN."""
    try:
        return _decode(text), False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error)
    try:
        return json.loads(text), True
    except (ValueError, RecursionError):
        return NotJson(reason), False
