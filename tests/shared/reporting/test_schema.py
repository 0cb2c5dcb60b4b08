from typing import Any

import msgspec

from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.reporting.schema import snapshot_schema, written
from tests.places import ROOT

PUBLISHED = ROOT / "docs" / "snapshot.schema.json"


def test_the_published_schema_is_current() -> None:
    """docs/snapshot.schema.json says what a snapshot is today: `python -m
    driftgauge.shared.reporting.schema` writes it.
    """
    assert PUBLISHED.read_bytes() == written()


def test_a_snapshot_has_what_the_schema_says(snapshot: Snapshot) -> None:
    """Every field that a snapshot's JSON has is in the schema, and every required one is in the
    JSON.
    """
    schema = snapshot_schema()

    def check(value: Any, part: dict[str, Any]) -> None:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rsplit("/", 1)[1]]
        if isinstance(value, dict):
            part = next(
                (one for one in part.get("anyOf", [part]) if one.get("type") != "null"), part
            )
            if "$ref" in part:
                part = schema["$defs"][part["$ref"].rsplit("/", 1)[1]]
            assert set(part["required"]) <= set(value) <= set(part["properties"])
            for name, field in value.items():
                check(field, part["properties"][name])
        elif isinstance(value, list) and isinstance(part.get("items"), dict):
            for one in value:
                check(one, part["items"])

    check(msgspec.to_builtins(snapshot), {"$ref": "#/$defs/Snapshot"})
