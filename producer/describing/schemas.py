"""Types as schemas of the OpenAPI document: each struct is a component of the name of its class.

The words come from the structs' docstrings, so that they stand in one place: what is above
`Parameters` describes the whole, what stands under a name that field.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from driftgauge.shared.moments import is_moment

PLACE: Final = "#/components/schemas/{name}"
SECTION: Final = re.compile(r"^(\w+)\n-{3,}\n", re.MULTILINE)
"""Heading of a section of a docstring, which has a line of dashes below it."""
UNIT: Final = re.compile(r" \((?:Unix |logical )?ms\)")
"""How docstrings say that a time is a number of milliseconds; in answers it is not."""

Schema = dict[str, Any]


@dataclass(frozen=True)
class Named:
    """A schema that is written by hand, and the name of its component.

    What comes in is read without a type, so that one answer names every bad field; so its schema is
    written beside the checks.

    Parameters
    ----------
    parts
        Others that it refers to.
    """

    name: str
    schema: Mapping[str, Any]
    parts: "tuple[Named, ...]" = ()


Model = type | Named
"""Type of a body: a struct, a hand-written schema; `str` is text, `bytes` anything."""


def reference(model: Model) -> Schema:
    """Return the schema that stands where a model is used.

    Examples
    --------
    >>> reference(bytes), reference(Named("Row", {}))
    ({'type': 'string', 'format': 'binary'}, {'$ref': '#/components/schemas/Row'})
    """
    if model is bytes:
        return {"type": "string", "format": "binary"}
    if model is str:
        return {"type": "string"}
    name = model.name if isinstance(model, Named) else model.__name__
    return {"$ref": PLACE.format(name=name)}


def components(
    models: Iterable[Model], place: str = PLACE, *, told: bool = True, whole: bool = True
) -> dict[str, Schema]:
    """Return the components of models, and of all that they consist of.

    Parameters
    ----------
    place
        Where they stand in the document, with `{name}`.
    told
        Whether points in time are as the API tells them; if not, they are Unix ms, as in Redis.
    whole
        Whether a field with a default is always there, as in what we write.

    Raises
    ------
    TypeError
        If two of them have the same name.

    Examples
    --------
    >>> class Car(msgspec.Struct):
    ...     '''A vehicle.
    ...
    ...     Parameters
    ...     ----------
    ...     mass
    ...         Its mass, in kg.
    ...     '''
    ...
    ...     mass: float = 0
    >>> components([Car])["Car"]["properties"]
    {'mass': {'type': 'number', 'description': 'Its mass, in kg.'}}
    """
    named: dict[str, Named] = {}
    structs: list[type] = []
    for model in models:
        if isinstance(model, Named):
            for one in (model, *model.parts):
                if named.setdefault(one.name, one) is not one:
                    raise TypeError(f"Two bodies are named {one.name}; give one another name.")
        elif model not in (str, bytes) and model not in structs:
            structs.append(model)
    _, found = msgspec.json.schema_components(structs, ref_template=place)
    for struct in _structs(structs):
        _described(_schema_of(struct, found), struct, told=told, whole=whole)
    return found | {name: dict(model.schema) for name, model in named.items()}


def _schema_of(struct: type[msgspec.Struct], found: Mapping[str, Schema]) -> Schema:
    if struct.__name__ not in found:
        raise TypeError(f"Two structs of answers are named {struct.__name__}; rename one.")
    return found[struct.__name__]


def _structs(kinds: Iterable[type]) -> Iterator[type[msgspec.Struct]]:
    """Yield the structs among types, and those that they consist of, each once."""
    seen: set[type] = set()
    waiting: list[Any] = list(types.multi_type_info(kinds))
    while waiting:
        info = waiting.pop()
        if isinstance(info, types.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls
            waiting += [field.type for field in info.fields]
        elif isinstance(info, types.Type):
            for name in ("type", "types", "item_type", "item_types", "key_type", "value_type"):
                part = getattr(info, name, ())
                waiting += part if isinstance(part, tuple) else [part]


def _described(schema: Schema, struct: type[msgspec.Struct], *, told: bool, whole: bool) -> None:
    """Put a struct's words into its schema, and say which of its fields are always there."""
    words, fields = words_of(struct)
    if words:
        schema["description"] = words
    else:
        schema.pop("description", None)
    del schema["title"]
    if "properties" not in schema:  # one that is written as a list
        return
    for field in msgspec.structs.fields(struct):
        one = _plain(schema["properties"][field.encode_name], told=told)
        one.pop("default", None)  # it is for who leaves a field out, and nobody does
        if field.name in fields:
            one["description"] = fields[field.name]
        schema["properties"][field.encode_name] = one
    if whole and not struct.__struct_config__.omit_defaults:
        schema["required"] = [*schema["properties"]]


def _plain(schema: Schema, *, told: bool) -> Schema:
    """Return a schema as clients understand it: points in time as text, enumerations with their
    type, lists with that of their items, and without one of what comes after a fixed length.
    """
    if told and is_moment(schema):
        return {"type": "string", "format": "date-time"}
    found = {name: part for name, part in schema.items() if part is not False}
    for name in ("items", "additionalProperties"):
        if isinstance(part := found.get(name), dict):
            found[name] = _plain(part, told=told)
    for name in ("anyOf", "prefixItems"):
        if isinstance(parts := found.get(name), list):
            found[name] = [_plain(one, told=told) for one in parts]
    if all(isinstance(one, str) for one in found.get("enum", (0,))):
        found = {"type": "string"} | found
    if found.get("type") == "array" and "prefixItems" not in found:
        found = {"items": {}} | found
    return found


def words_of(struct: type[msgspec.Struct]) -> tuple[str, dict[str, str]]:
    """Return what a struct's docstring says of the whole and of its fields, own and inherited.

    Examples
    --------
    >>> words_of(Named)[0].splitlines()[0]
    'A schema that is written by hand, and the name of its component.'
    """
    fields: dict[str, str] = {}
    whole = ""
    for one in reversed(struct.__mro__):
        text = inspect.cleandoc(one.__dict__.get("__doc__") or "")
        if one is object or one is msgspec.Struct:
            continue
        whole, *sections = SECTION.split(text)
        for heading, section in zip(sections[::2], sections[1::2], strict=True):
            if heading == "Parameters":
                fields |= _fields(section)
    return _joined(whole), fields


def _fields(section: str) -> dict[str, str]:
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.strip().splitlines():
        if line and not line[0].isspace():
            names = line.split(", ")
        else:
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return {name: UNIT.sub("", text) for name, text in found.items()}


def _joined(text: str) -> str:
    """Join the lines of each paragraph."""
    paragraphs = (" ".join(one.split()) for one in text.strip().split("\n\n"))
    return UNIT.sub("", "\n\n".join(paragraphs))
