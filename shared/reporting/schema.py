"""The JSON schema of a snapshot, generated from its structs: what docs/snapshot.schema.json holds.

python -m driftgauge.shared.reporting.schema > docs/snapshot.schema.json
"""

import re
import sys
from inspect import cleandoc
from typing import Any

import msgspec

from driftgauge.shared.contract.snapshot import SNAPSHOT_FORMAT, Snapshot


def snapshot_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12) of a snapshot's JSON.

    Examples
    --------
    >>> snapshot_schema()["$ref"]
    '#/$defs/Snapshot'
    """
    found = msgspec.json.schema(Snapshot)
    for struct in found["$defs"].values():
        struct["description"] = _unwrapped(cleandoc(struct.get("description", "")))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A snapshot of a model version's window, format {SNAPSHOT_FORMAT}",
        **found,
    }


def _unwrapped(text: str) -> str:
    """Join the lines of each paragraph of prose, so that the schema does not change with a line's
    length.
    """
    prose, parameters, rest = text.partition("\n\nParameters\n")
    return re.sub(r"(?<!\n)\n(?![\n -])", " ", prose) + parameters + rest


def written() -> bytes:
    """Return the schema as it stands in its file."""
    return msgspec.json.format(msgspec.json.encode(snapshot_schema()), indent=2) + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(written())
