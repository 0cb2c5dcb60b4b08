"""The routes of the API, from its OpenAPI document, and the pages that are not in it."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

from docs.making.prose import meant, plain, table
from driftgauge.producer.access.control import Guarded
from driftgauge.producer.app import ROUTERS, create_app
from driftgauge.shared.settings import read_settings

Document = Mapping[str, Any]
NOWHERE: Final = "redis://127.0.0.1:1/0"
"""The API is made and not started: nothing is connected."""


def page() -> str:
    """Write a section for each route, by what it is about, and the tables of what is sent."""
    app = made_app()
    document = app.openapi()
    found: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            (tag,) = route.get("tags") or ["other"]
            found.setdefault(tag, []).append(_route(method, path, route, document))
    parts = [f"## {tag.capitalize()}\n\n" + "\n\n".join(texts) for tag, texts in found.items()]
    schemas = document.get("components", {}).get("schemas", {})
    if schemas:
        parts.append("## Schemas\n\nWhat requests and answers are made of.")
        parts += [f"### {name}\n\n{_schema(one)}" for name, one in sorted(schemas.items())]
    parts.append(f"## Pages\n\nWhat a browser shows. {_pages(app)}")
    return "\n\n".join(parts)


def made_app() -> FastAPI:
    """Make the API without starting it."""
    folder = Path(tempfile.gettempdir()) / "driftgauge-docs"
    return create_app(read_settings(redis_url=NOWHERE, registry_dir=folder, data_dir=folder))


def _route(method: str, path: str, route: Document, document: Document) -> str:
    name = f"{method.upper()} {path}"
    said = meant(route.get("description") or route.get("summary"), name)
    written = [f"### {name}", plain(said), _scopes(route)]
    parameters = [_resolved(one, document) for one in route.get("parameters", [])]
    if parameters:
        asked = [
            (f"`{one['name']}`", str(one["in"]), _type(one.get("schema", {})), _said(one))
            for one in parameters
        ]
        written.append(table(["Parameter", "In", "Type", "Meaning"], asked))
    body = _resolved(route.get("requestBody", {}), document)
    written += [
        f"Body: `{kind}`.\n\n{_schema(content.get('schema', {}))}".strip()
        for kind, content in body.get("content", {}).items()
    ]
    rows = [
        (f"`{status}`", plain(one["description"]), ", ".join(_contents(one)))
        for status, one in route["responses"].items()
    ]
    written.append(table(["Status", "Meaning", "Content"], rows))
    return "\n\n".join(written)


def _scopes(route: Document) -> str:
    scopes = {scope for way in route.get("security", []) for (scope,) in way.values()}
    names = " or ".join(f"`{scope}`" for scope in sorted(scopes))
    return f"Needs the scope {names}." if scopes else "Needs no key."


def _contents(response: Document) -> Iterator[str]:
    for kind, content in response.get("content", {}).items():
        name = _type(content.get("schema", {}))
        yield f"`{kind}`" + (f" {name}" if name.startswith("[") else "")


def _schema(schema: Document) -> str:
    """Write the fields of a schema as a table; a reference as a link."""
    properties = schema.get("properties", {})
    said = plain(" ".join(schema.get("description", "").split()))
    if not properties:
        return "\n\n".join(filter(None, [said, f"Type: {_type(schema)}." if schema else ""]))
    needed = set(schema.get("required", ()))
    rows = [
        (f"`{name}`", _type(one), " ".join([*_need(name in needed), _said(one)]).strip())
        for name, one in properties.items()
    ]
    return "\n\n".join(filter(None, [said, table(["Field", "Type", "Meaning"], rows)]))


def _need(needed: bool) -> list[str]:  # noqa: FBT001  a table's cell
    return ["Needed."] if needed else []


def _said(part: Document) -> str:
    text = part.get("description") or part.get("schema", {}).get("description", "")
    return plain(" ".join(text.split()))


def _type(schema: Document) -> str:
    """Name the type of a value in a word or two.

    Examples
    --------
    >>> _type({"type": ["number", "null"]}), _type({"type": "array", "items": {"type": "string"}})
    ('number or null', 'list of string')
    >>> _type({"$ref": "#/components/schemas/Row"}), _type({"enum": ["a", "b"]})
    ('[Row](#row)', '`a`, `b`')
    """
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[several]))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    names = [kind] if isinstance(kind, str) else kind
    return " or ".join([*names]) + (f" ({schema['format']})" if "format" in schema else "")


def _resolved(part: Document, document: Document) -> Document:
    for name in part.get("$ref", "").split("/")[1:]:
        document = document[name]
    return document if "$ref" in part else part


def pages(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield method and path, and the meaning, of each route that the OpenAPI document lacks."""
    for router in ROUTERS:
        for route in router(app.state.parts).routes:
            if isinstance(route, Guarded) and not route.include_in_schema:
                for method in sorted(route.methods or ()):
                    name = f"{method} {route.path}"
                    said = meant(route.endpoint.__doc__, name)
                    yield name, said.split(". ")[0].rstrip(".") + "."


def _pages(app: FastAPI) -> str:
    rows = [(f"`{name}`", plain(said)) for name, said in pages(app)]
    return "\n\n" + table(["Route", "What it answers"], rows)
