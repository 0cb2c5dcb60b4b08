"""The published JSON Schemas (2020-12), one for each kind of message."""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import msgspec

from driftgauge.producer.describing.schemas import Named, Schema, components
from driftgauge.producer.messages.kinds import KINDS, NAMED, Kind
from driftgauge.shared.contract.alert import schema_id

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
PLACE: Final = "#/$defs/{name}"


class SchemaName(msgspec.Struct, frozen=True):
    """A published schema.

    Parameters
    ----------
    name
        Its name; `/schemas/` and this with `.json` is its path.
    id
        Its `$id`, by which the `dataschema` of a CloudEvent names it.
    title
        What it describes.
    """

    name: str
    id: str
    title: str


class Listed(msgspec.Struct, frozen=True):
    """All published schemas."""

    schemas: list[SchemaName]


@cache
def schema_of(name: str) -> Schema:
    """Return the schema of a kind; it is not to be changed.

    Raises
    ------
    KeyError
        If there is no such kind.

    Examples
    --------
    >>> found = schema_of("void")
    >>> found["$id"], found["$ref"], list(found["$defs"])
    ('urn:driftgauge:schema:void:1', '#/$defs/Void', ['Void'])
    """
    kind = NAMED[name]
    head = {"$schema": DIALECT, "$id": schema_id(name), "title": kind.title}
    if isinstance(kind.models, Named):
        return head | dict(kind.models.schema)
    return head | one_of(kind, PLACE) | {"$defs": parts([kind], PLACE)}


def parts(kinds: Iterable[Kind], place: str) -> dict[str, Schema]:
    """Return the schemas of the structs of kinds that tell times alike, and of all that these
    consist of.

    Parameters
    ----------
    place
        Where they stand in the document, with `{name}`.
    """
    found: dict[str, Schema] = {}
    for kind in kinds:
        if not isinstance(kind.models, Named):
            found |= components(kind.models, place, told=kind.told, whole=kind.whole)
    return found


def one_of(kind: Kind, place: str) -> dict[str, Any]:
    """Return what stands for a kind in a document that has its structs at a place."""
    if isinstance(kind.models, Named):
        return {"$ref": place.format(name=kind.models.name)}
    places = [{"$ref": place.format(name=one.__name__)} for one in kind.models]
    return places[0] if len(places) == 1 else {"oneOf": places}


def listed() -> Listed:
    """List all kinds."""
    return Listed([SchemaName(one.name, schema_id(one.name), one.title) for one in KINDS])
