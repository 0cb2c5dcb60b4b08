"""Tensors of the Open Inference Protocol, version 2: in JSON, and as bytes after it.

In the binary form the JSON is followed by the tensors' bytes, in the order in which they are named:
little-endian numbers, and of each text its length (4 bytes) and its UTF-8. The length of the JSON
stands in a header; whoever logs a body alone loses it, so without the header the JSON ends where
its first document does.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from driftgauge.shared.errors import BadData

NUMBERS: Final[Mapping[str, str]] = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""Datatypes of numbers, as numpy writes them."""
TEXTS: Final = "BYTES"
BINARY_SIZE: Final = "binary_data_size"
"""Parameter of a tensor whose values follow the JSON: their bytes."""
MOST_VALUES: Final = 10_000_000
MOST_DIMENSIONS: Final = 8


class Tensor(msgspec.Struct, frozen=True):
    """A named tensor.

    Parameters
    ----------
    shape
        Its dimensions.
    values
        Numbers, booleans, texts or None, in row-major order; as many as the shape has places.

    Examples
    --------
    >>> Tensor("x", (2, 2), [1, 2, 3, 4]).rows()
    [[1, 2], [3, 4]]
    """

    name: str
    shape: tuple[int, ...]
    values: list[Any]

    def rows(self) -> list[list[Any]]:
        """Return its values by the first dimension."""
        count = self.shape[0] if self.shape else 1
        width = len(self.values) // count if count else 0
        return [self.values[place * width : (place + 1) * width] for place in range(count)]


def split(body: bytes, header_bytes: int | None) -> tuple[Any, bytes]:
    """Split a body into its JSON document and the bytes after it.

    Parameters
    ----------
    header_bytes
        Length of the JSON; None if it is not known.

    Raises
    ------
    BadData
        If it does not begin with JSON.

    Examples
    --------
    >>> split(b'{"inputs":[]}ab', 13)
    ({'inputs': []}, b'ab')
    >>> split(b'{"parameters":{"binary_data_size":2}}ab', None)[1]
    b'ab'
    """
    try:
        if header_bytes is not None:
            return msgspec.json.decode(body[:header_bytes]), body[header_bytes:]
        try:
            return msgspec.json.decode(body), b""
        except msgspec.DecodeError:
            if BINARY_SIZE.encode() not in body:
                raise
            return _first_document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadData(f"The body does not begin with JSON: {error}.") from error


def _first_document(body: bytes) -> tuple[Any, bytes]:
    """Read the document that a body begins with, and return what follows it. A byte is a character
    here, so that the end is known in bytes.
    """
    text = body.decode("latin-1")
    _, end = json.JSONDecoder().raw_decode(text.lstrip())
    end += len(text) - len(text.lstrip())
    return msgspec.json.decode(body[:end]), body[end:]


def read_tensors(given: object, binary: bytes) -> list[Tensor]:
    """Read the tensors of a request or an answer.

    Parameters
    ----------
    given
        The list `inputs` or `outputs` of the document.
    binary
        The bytes after the document.

    Raises
    ------
    BadData
        If one is not as the protocol says; the message names it.

    Examples
    --------
    >>> read_tensors([{"name": "x", "shape": [2], "datatype": "FP32", "data": [1.5, 2]}], b"")
    [Tensor(name='x', shape=(2,), values=[1.5, 2])]
    """
    if not isinstance(given, list) or not given:
        raise BadData("The body has no list of tensors.")
    found = []
    for place, one in enumerate(given):
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str):
            raise BadData(f"Tensor {place} has no name.")
        try:
            tensor, used = _tensor(one, name, binary)
        except (BadData, ValueError, UnicodeDecodeError, struct.error) as error:
            raise BadData(f"Tensor {name[:64]!r}: {error}") from error
        binary = binary[used:]
        found.append(tensor)
    if binary:
        raise BadData(f"{len(binary)} bytes follow the last tensor, and no tensor names them.")
    return found


def _tensor(one: Mapping[str, Any], name: str, binary: bytes) -> tuple[Tensor, int]:
    """Read one tensor; return how many of the bytes are its own."""
    shape: Any = one.get("shape")
    datatype: Any = one.get("datatype")
    if not _is_shape(shape):
        raise BadData("its shape is no list of up to 8 whole numbers of at least 0.")
    if datatype not in NUMBERS and datatype != TEXTS:
        raise BadData(f"its datatype is none of {', '.join((*NUMBERS, TEXTS))}.")
    places = math.prod(shape)
    if places > MOST_VALUES:
        raise BadData(f"it has more than {MOST_VALUES:,} values.")
    parameters = one.get("parameters")
    size = parameters.get(BINARY_SIZE) if isinstance(parameters, dict) else None
    if size is None:
        values, size = _flat(one.get("data"), len(shape)), 0
    elif not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(binary):
        raise BadData(f"{size!r} bytes are said to follow, and {len(binary)} do.")
    else:
        values = _unpacked(binary[:size], datatype)
    if len(values) != places:
        raise BadData(f"it has {len(values):,} values, and its shape {places:,} places.")
    return Tensor(name, tuple(shape), values), size


def _is_shape(shape: object) -> bool:
    return (
        isinstance(shape, list)
        and 0 < len(shape) <= MOST_DIMENSIONS
        and all(type(one) is int and one >= 0 for one in shape)
    )


def _flat(data: object, depth: int) -> list[Any]:
    """Return the values of nested or flat lists."""
    if not isinstance(data, list):
        raise BadData("it has neither data nor a binary_data_size.")
    for _ in range(depth - 1):
        if not (data and isinstance(data[0], list)):
            break
        if not all(isinstance(part, list) for part in data):
            raise BadData("its data is nested unevenly.")
        data = [value for part in data for value in part]
    return data


def _unpacked(packed: bytes, datatype: str) -> list[Any]:
    if datatype != TEXTS:
        numbers = np.frombuffer(packed, dtype=NUMBERS[datatype]).tolist()
        return [None if value != value else value for value in numbers]  # noqa: PLR0124  NaN, which says "missing" here
    values, place = [], 0
    while place < len(packed):
        (length,) = struct.unpack_from("<I", packed, place)
        place += 4
        if place + length > len(packed):
            raise BadData("a text goes on behind the end.")
        values.append(packed[place : place + length].decode())
        place += length
    return values


def packed(values: Sequence[Any], datatype: str) -> bytes:
    r"""Return the bytes of a tensor's values.

    Examples
    --------
    >>> packed(["ab"], "BYTES"), packed([1], "INT16")
    (b'\x02\x00\x00\x00ab', b'\x01\x00')
    """
    if datatype != TEXTS:
        return np.array(values, dtype=NUMBERS[datatype]).tobytes()
    texts = [str(value).encode() for value in values]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
