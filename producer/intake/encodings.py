"""Request bodies that are compressed, as their Content-Encoding says (RFC 9110): unpacked piece by
piece, up to the size that the body may have.

A megabyte of compressed zeros is a gigabyte, so the bound holds for what comes out, not only for
what is sent.
"""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import IO, Final, Literal, cast, get_args

from driftgauge.producer.http.problems import Problem

Coding = Literal["gzip", "zstd"]
CODINGS: Final[tuple[Coding, ...]] = get_args(Coding) if find_spec("pyarrow") else ("gzip",)
"""What this installation unpacks; zstd comes with the extra `parquet`."""
PIECE: Final = 1 << 16
PARAMETER: Final = {
    "name": "Content-Encoding",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "enum": list(get_args(Coding))},
    "description": "How the body is compressed; the limit of its size holds for what comes out. "
    "Another one is refused (415).",
}


class TooMuch(Exception):
    """A body that is larger than it may be when it is unpacked."""


def coding_of(headers: Mapping[str, str]) -> Coding | None:
    """Tell how a body is compressed; None if it is not.

    Raises
    ------
    Problem
        415 if it is compressed in a way that is not taken.

    Examples
    --------
    >>> coding_of({"content-encoding": "gzip"}), coding_of({"content-encoding": "identity"})
    ('gzip', None)
    """
    named = headers.get("content-encoding", "").strip().lower()
    if named in {"", "identity"}:
        return None
    found = next((one for one in CODINGS if named in {one, f"x-{one}"}), None)
    if found is None:
        raise Problem(
            415,
            f"A body is sent as it is or as {' or '.join(CODINGS)}, not as {named[:64]!r}: correct "
            f"its Content-Encoding.",
            headers={"Accept-Encoding": ", ".join(CODINGS)},
        )
    return found


def unpacked(source: IO[bytes], coding: Coding, most: int) -> Iterator[bytes]:
    """Yield a compressed body piece by piece.

    Parameters
    ----------
    source
        The body, from its beginning.
    most
        Most bytes that may come out.

    Raises
    ------
    TooMuch
        If more come out.
    Problem
        400 if it is not compressed in this way, or cut off.

    Examples
    --------
    >>> import gzip, io
    >>> b"".join(unpacked(io.BytesIO(gzip.compress(b"abc")), "gzip", most=3))
    b'abc'
    """
    size = 0
    try:
        with _opened(source, coding) as plain:
            while piece := plain.read(PIECE):
                size += len(piece)
                if size > most:
                    raise TooMuch
                yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise Problem(
            400,
            f"The body is sent as {coding} (Content-Encoding), and cannot be unpacked: {error}.",
        ) from error


def _opened(source: IO[bytes], coding: Coding) -> IO[bytes]:
    if coding == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=source, mode="rb"))
    import pyarrow as pa  # slow to import, and most bodies need none

    found: IO[bytes] = pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd")
    return found
