"""The content of a message: JSON, or Avro with a schema registry (Confluent's wire format)."""

import io
import json
import struct
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final

import msgspec

from driftgauge.shared.errors import BadData
from driftgauge.shared.extras import needs

Decode = Callable[[bytes], object]
"""A function that decodes a message; BadData if it cannot, OSError if that cannot be told now."""
TIMEOUT_S: Final = 10
AVRO: Final = b"\0"
"""First byte of a message in Avro; its schema's number follows."""
MOST_SCHEMA_BYTES: Final = 1 << 20


def decode_json(content: bytes) -> object:
    """Decode JSON.

    Examples
    --------
    >>> decode_json(b'{"x":1}')
    {'x': 1}
    """
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadData(f"It is not JSON: {error}.") from error


class AvroDecoder:
    """Decodes Avro by the schemas of a registry, and JSON beside it.

    Parameters
    ----------
    url
        Address of the registry.
    """

    def __init__(self, url: str) -> None:
        with needs("kafka"):
            import fastavro
        self._fastavro = fastavro
        self._url = url.rstrip("/")
        self._schemas: dict[int, Any] = {}

    def __call__(self, content: bytes) -> object:
        if not content.startswith(AVRO):
            return decode_json(content)
        if len(content) < 5:
            raise BadData("It is too short for Avro.")
        (number,) = struct.unpack(">I", content[1:5])
        schema = self._schema(number)
        try:
            return self._fastavro.schemaless_reader(io.BytesIO(content[5:]), schema, None)
        except Exception as error:  # whatever a decoder raises on foreign bytes
            raise BadData(f"It does not fit schema {number}: {error!r:.200}.") from error

    def _schema(self, number: int) -> Any:
        if number not in self._schemas:
            self._schemas[number] = self._fetched(number)
        return self._schemas[number]

    def _fetched(self, number: int) -> Any:
        """Ask the registry; BadData if it has no such schema, or it cannot be used."""
        try:
            with urllib.request.urlopen(  # noqa: S310  the operator's own address
                f"{self._url}/schemas/ids/{number}", timeout=TIMEOUT_S
            ) as answer:
                text = json.loads(answer.read(MOST_SCHEMA_BYTES))["schema"]
            return self._fastavro.parse_schema(json.loads(text))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise BadData(f"The schema registry has no schema {number}.") from error
            raise
        except (ValueError, KeyError, self._fastavro.schema.SchemaParseException) as error:
            raise BadData(f"Schema {number} cannot be used: {error!r:.200}.") from error
