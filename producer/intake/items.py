"""The items of a body that is one JSON object, a list of objects, or a line of JSON for each
(newline-delimited JSON): events, or labels.

A list is cut into the texts of its items first: so they are counted before anything is built of
them, no call takes long, and a fault of one does not affect the others. That is done by one call,
but in a thread, value by value, if the list is very large or has a fault. Anything else that is
small is decoded as a whole. Who reads a list may read the texts of good items by a type of its own.
"""

import io
import json
from collections.abc import AsyncIterator, Callable
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

MOST_COMMAS: Final = 100_000
"""Commas in a list that is cut in one call: as many values are passed in some milliseconds."""

LOOKED_AT: Final = 16
"""Items after which the time is looked at."""

Text = str | bytes | msgspec.Raw
Read = Callable[[bytes | msgspec.Raw], object | None]
"""A function that reads the text of a good item; None for any other."""

_decode = msgspec.json.Decoder().decode
_cut = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _nothing(_: object) -> None:
    """Read no item."""


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

    def __init__(
        self,
        found: list[Any],
        flaw: Problem | None,
        *,
        many: bool,
        cut: bool,
        read: Read = _nothing,
    ) -> None:
        self.many = many
        self.flaw = flaw
        self._found = found
        self._cut = cut
        self._read = read if found and not isinstance(found[0], str) else _nothing

    async def __aiter__(self) -> AsyncIterator[tuple[Any, bool]]:
        """Yield each item, and whether it is, or stands in, something that is no JSON; others get
        turns.
        """
        async for part in self.parts():
            for one in part:
                yield one

    async def parts(self) -> AsyncIterator[list[tuple[Any, bool]]]:
        """Yield the items in lists, each of those that were read in one turn."""
        part: list[tuple[Any, bool]] = []
        turns, flawed = Turns(), self.flaw is not None
        for first in range(0, len(self._found), LOOKED_AT):
            for found in self._found[first : first + LOOKED_AT]:
                if not self._cut:
                    part.append((found, flawed))
                elif (good := self._read(found)) is not None:
                    part.append((good, False))
                else:
                    part.append(await run(_size(found), _item, found))
                    await turns.offer()
            if turns.over():
                yield part
                part = []
                await turns.offer()
        yield part


def is_lines(content_type: str) -> bool:
    """Tell whether a body is newline-delimited JSON.

    >>> is_lines("application/x-ndjson; charset=utf-8"), is_lines("application/json")
    (True, False)
    """
    return content_type.partition(";")[0].strip().lower() in LINES


async def items_of(
    body: bytes, most: int, what: str, *, lines: bool = False, read: Read = _nothing
) -> Items:
    """Read the items of a body.

    Parameters
    ----------
    most
        Items that a request may have.
    what
        Name of the items, for messages.
    lines
        Whether each line is an item; one that is no JSON is a `NotJson`.
    read
        Function that reads the texts of good items of a list, in the place of a decoder.

    Raises
    ------
    Problem
        400 if it is no JSON, 413 if it has more items or an item is too long.
    """
    if lines:
        found = await run(len(body), _lines, body, most, what)
        return Items(found, None, many=True, cut=True, read=read)
    texts: list[Any] | None = None
    flaw, many, cut, large = None, True, True, len(body) > AT_ONCE
    if body.lstrip(SPACES).startswith(ARRAY) and (large or read is not _nothing):
        texts = _cut_at_once(body)
        if texts is None and large:
            texts = await run(len(body), _cut_singly, body, most)
    if texts is None:
        if len(body) > MAX_ROW:
            raise Problem(413, f"The body is no list, and has more than {MAX_ROW} bytes.")
        document, flaw = await run(len(body), decode, body)
        many, cut = isinstance(document, list), False
        texts = document if many else [document]
    if len(texts) > most:
        raise too_many(most, what)
    return Items(texts, flaw, many=many, cut=cut, read=read)


def too_many(most: int, what: str) -> Problem:
    """Make the answer to a request with too many events or labels."""
    return Problem(
        413,
        f"These are more than {most} {what}; send at most {most} at a time "
        f"(DRIFTGAUGE_EVENTS_MAX_ROWS).",
    )


def _cut_at_once(body: bytes) -> list[msgspec.Raw] | None:
    """Cut a list by one call of a millisecond or two; None if it might take longer, or the list is
    no JSON as a whole.
    """
    if len(body) > MAX_ROW or body.count(b",") > MOST_COMMAS:
        return None
    try:
        check_containers(body)
        body.decode()
        return _cut(body)
    except (Problem, UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return None


def _cut_singly(body: bytes, most: int) -> list[str]:
    """Cut a list value by value, up to one more than `most`."""
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


def _size(text: Text) -> int:
    return len(memoryview(text)) if isinstance(text, msgspec.Raw) else len(text)


def _item(text: Text) -> tuple[Any, bool]:
    """Decode the text of an item; true if only Python reads it, as NaN."""
    try:
        return _decode(text), False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error)
    try:
        return json.loads(bytes(text) if isinstance(text, msgspec.Raw) else text), True
    except (ValueError, RecursionError):
        return NotJson(reason), False
