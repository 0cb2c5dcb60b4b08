"""Messages that cross a process, field by field: the snapshot, and the CloudEvents."""

from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any, Final, get_args, get_type_hints

import msgspec

from docs.making.prose import Undocumented, described, entries_of, meant, parts_of, plain, table
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.alerts import MARKS
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.reporting.schema import snapshot_schema

CHANGES: Final = {
    "driftgauge.incident.opened": "A fault was found. People are told.",
    "driftgauge.incident.reopened": "The same fault is back soon after its end. People are told.",
    "driftgauge.incident.severity": "It is worse now. People are told.",
    "driftgauge.incident.cause": "Its cause or its extent is known better. People are told.",
    "driftgauge.incident.evidence": "One of its alerts joined or resolved.",
    "driftgauge.incident.released": "A silence is over, and it still stands. People are told.",
    "driftgauge.incident.reminder": "It still stands. People are reminded, if that is set.",
    "driftgauge.incident.acknowledged": "A person has seen it.",
    "driftgauge.incident.silenced": "A person wants no messages of it for a time.",
    "driftgauge.incident.resolved": "It is over. People are told.",
    "driftgauge.alert.pending": "A rule is broken for the first time.",
    "driftgauge.alert.firing": "A rule is broken for long enough; or what fires changed.",
    "driftgauge.alert.resolved": "The rule is quiet again.",
    "driftgauge.alert.inactive": "The alert was pending, and its rule is quiet again.",
    "driftgauge.alert.acknowledged": "A person has seen the alert.",
    "driftgauge.alert.silenced": "A person wants no messages of the alert for a time.",
    "driftgauge.snapshot.schedule": "A report that was due, by time or by number of events.",
    "driftgauge.snapshot.alert": "A report of the moment in which an alert fired or resolved.",
    "driftgauge.snapshot.current": "The window as it is now; `GET /drift` has it, no stream.",
}
"""What each type of CloudEvent says; `types` checks that there is no other."""


def types() -> set[str]:
    """Return every type of CloudEvent that the code can write."""
    return {
        *(f"driftgauge.incident.{one}" for one in _words(Incident, "change")),
        *(f"driftgauge.alert.{one}" for one in {*_words(Alert, "state"), *MARKS}),
        *(f"driftgauge.snapshot.{one}" for one in _words(Snapshot, "trigger")),
    }


def _words(struct: type, field: str) -> tuple[str, ...]:
    found: tuple[str, ...] = get_args(get_type_hints(struct)[field])
    return found


def event_types() -> str:
    """Write a table of the types.

    Raises
    ------
    Undocumented
        If the code writes a type that is not explained, or does not write one that is.
    """
    if types() != CHANGES.keys():
        wrong = sorted(types() ^ CHANGES.keys())
        raise Undocumented(f"These types of event are not those of the code: {wrong}.")
    rows = [(f"`{name}`", said) for name, said in CHANGES.items()]
    return table(["Type", "Meaning"], rows)


def event_data() -> str:
    """Write the fields of an incident and of an alert, and of what they are made of."""
    schemas = msgspec.json.schema_components([Incident, Alert])[1]
    return _structs(schemas)


def snapshot() -> str:
    """Write the fields of a snapshot, and of what it is made of."""
    return _structs(snapshot_schema()["$defs"])


def _structs(schemas: dict[str, Any]) -> str:
    return "\n\n".join(
        f"### {name}\n\n{_struct(name, one)}"
        for name, one in schemas.items()
        if "properties" in one
    )


def _struct(name: str, schema: dict[str, Any]) -> str:
    parts = parts_of(cleandoc(schema.get("description", "")))
    said = entries_of(parts.pop("Parameters", ""))
    rows = [
        (f"`{field}`", _type(one), plain(_meaning(field, said, parts[""], name)))
        for field, one in schema["properties"].items()
    ]
    return f"{described(parts[''], name)}\n\n" + table(["Field", "Type", "Meaning"], rows)


def _meaning(field: str, said: Mapping[str, str], text: str, name: str) -> str:
    """Return what a field means; nothing if the text above the table tells it.

    Examples
    --------
    >>> _meaning("n", {}, "A share: `n` are its rows.", "Share")
    ''
    """
    told = f"`{field}`" in text
    return said.get(field, "") if told else meant(said.get(field), f"{name}.{field}")


def _type(schema: dict[str, Any]) -> str:
    """Name the type of a field.

    Examples
    --------
    >>> _type({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None})
    'integer or null'
    """
    return " or ".join(dict.fromkeys(_names(schema)))


def _names(schema: dict[str, Any]) -> Iterator[str]:
    if "anyOf" in schema:
        for one in schema["anyOf"]:
            yield from _names(one)
    elif "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        yield f"[{name}](#{name.lower()})"
    elif "enum" in schema:
        yield " or ".join(f"`{one}`" for one in schema["enum"])
    elif schema.get("type") == "array":
        items = schema.get("items") or {"anyOf": schema.get("prefixItems", [{}])}
        yield f"list of {_type(items)}"
    else:
        yield str(schema.get("type", "any"))
