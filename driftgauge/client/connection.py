"""The way to the API: one connection that is kept open, and what an answer means.

This module imports all that takes long, and nothing of it is imported later.
"""

import encodings.idna  # noqa: F401  host names are encoded by it
import json
import logging  # noqa: F401  by stats.py, once a minute
import zlib
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import RawIOBase
from socket import socket
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlencode, urlsplit

from driftgauge.client.unit import PATHS, Batch, lines

SMALL: Final = 512
"""Bodies below this size, in bytes, are sent as they are."""
PIECE: Final = 1 << 16
"""Most bytes that are read at a time."""
LONGEST_PAUSE_S: Final = 60.0
"""Longest pause that the API may ask for."""
REFUSING: Final = frozenset({400, 401, 403, 405, 415, 422})
"""Answers after which the same is not sent again."""

Meaning = Literal["taken", "again", "refused", "halve", "renumber"]


class Answer(NamedTuple):
    """What came of a request.

    Parameters
    ----------
    meaning
        `taken`: nothing of it need be kept, whatever of it was accepted; `again`: nobody knows, or
        it is not safe yet; `refused`: nothing was taken, nor ever will be; `halve`: it is too
        large; `renumber`: it is numbered by a wrong number of partitions.
    accepted
        Events that were accepted.
    partitions
        The right number of partitions, for `renumber`.
    pause_s
        How long the API asks to wait; None if it does not.
    why
        What is wrong, in words; empty if nothing is.
    """

    meaning: Meaning
    accepted: int = 0
    partitions: int = 0
    pause_s: float | None = None
    why: str = ""


class Reader:
    """What `http.client` reads an answer from, in the place of a `BufferedReader`: that one holds a
    lock while it waits for bytes, and a process that was forked meanwhile would wait for it for
    ever when it closes its copy.
    """

    def __init__(self, raw: RawIOBase) -> None:
        self._raw = raw
        self._rest = b""

    def readline(self, limit: int = -1) -> bytes:
        """Read to the end of a line, at most so many bytes."""
        while b"\n" not in self._rest and not 0 <= limit <= len(self._rest):
            if not self._more():
                break
        end = self._rest.find(b"\n") + 1 or len(self._rest)
        return self._cut(end if limit < 0 else min(end, limit))

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, or all."""
        while not 0 <= size <= len(self._rest) and self._more():
            pass
        return self._cut(len(self._rest) if size < 0 else size)

    def _more(self) -> bool:
        piece = self._raw.read(PIECE)
        self._rest += piece or b""
        return bool(piece)

    def _cut(self, end: int) -> bytes:
        found, self._rest = self._rest[:end], self._rest[end:]
        return found

    def flush(self) -> None:
        """Do nothing: it is only read."""

    def close(self) -> None:
        """Close the socket, if the connection is closed too."""
        self._raw.close()


class Response(HTTPResponse):
    """An answer that is read without a lock."""

    def __init__(self, sock: socket, *given: Any, **more: Any) -> None:
        super().__init__(sock, *given, **more)
        self.fp.close()  # nothing was read by it yet
        self.fp: Any = Reader(sock.makefile("rb", buffering=0))


class Connection:
    """A connection to the API.

    Parameters
    ----------
    url
        Address of the API, with a path if a proxy serves it below one.
    key
        API key; None without.
    timeout_s
        Longest wait for an answer.

    Raises
    ------
    ValueError
        If it is no http or https address.
    """

    def __init__(self, url: str, model: str, key: str | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"url must be an http or https address, not {url!r}")
        self._https = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._model = model
        self._timeout_s = timeout_s
        self._headers = {"User-Agent": "driftgauge.client", "Accept": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._open: HTTPConnection | None = None

    def send(self, batch: Batch) -> Answer:
        """Send events or labels."""
        query = {"publisher": batch.publisher, "partitions": batch.partitions}
        return self._post(PATHS[batch.kind], query, lines(batch.items), "application/x-ndjson")

    def declare(self, publisher: str, partitions: int, gaps: list[tuple[int, int, int]]) -> Answer:
        """Tell the API which numbers will never come."""
        body = json.dumps({"gaps": gaps}).encode()
        query = {"partitions": partitions}
        return self._post(f"/publishers/{publisher}/gaps", query, body, "application/json")

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _post(self, path: str, query: Mapping[str, object], body: bytes, kind: str) -> Answer:
        target = f"{self._base}{path}?{urlencode({'model': self._model, **query})}"
        headers = {**self._headers, "Content-Type": kind}
        if len(body) >= SMALL:
            body = zlib.compress(body, 1, wbits=31)
            headers["Content-Encoding"] = "gzip"
        reused = self._open is not None
        try:
            return self._ask(target, body, headers)
        except (
            OSError,
            HTTPException,
        ) as error:  # it is sent again: what arrived is not counted twice
            self.close()
            if not reused:
                return _silent(error)
        try:  # the API may have closed a connection that was idle for long
            return self._ask(target, body, headers)
        except (OSError, HTTPException) as error:
            self.close()
            return _silent(error)

    def _ask(self, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        if self._open is None:
            made = HTTPSConnection if self._https else HTTPConnection
            self._open = made(self._host, self._port, timeout=self._timeout_s)
            self._open.response_class = Response
        self._open.request("POST", target, body, headers)
        response = self._open.getresponse()
        content = response.read()
        if response.will_close:
            self.close()
        return _meaning(response.status, response.headers.get("Retry-After"), content)


def _silent(error: Exception) -> Answer:
    return Answer("again", why=f"no answer: {type(error).__name__}: {error}")


def _meaning(status: int, retry_after: str | None, content: bytes) -> Answer:
    """Understand an answer."""
    try:
        found = json.loads(content)
        document = found if isinstance(found, dict) else {}
    except ValueError:
        document = {}
    why = f"{status}: {document.get('detail') or content[:200].decode(errors='replace')}"
    if status == 202:
        kept = document.get("event") in {"published", "spooled"}
        why = "" if kept else "the API holds it in memory only"
        return Answer("taken" if kept else "again", int(document.get("accepted", 0)), why=why)
    if status == 409 and isinstance(document.get("partitions"), int):
        return Answer("renumber", partitions=document["partitions"], why=why)
    if status == 413:
        return Answer("halve", why=why)
    if status in REFUSING:
        return Answer("refused", why=why)
    return Answer("again", pause_s=_seconds(retry_after), why=why)


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None or not retry_after.isdecimal():
        return None
    return min(float(retry_after), LONGEST_PAUSE_S)
