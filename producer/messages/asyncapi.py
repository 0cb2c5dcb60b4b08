"""The AsyncAPI document (3.0.0): all streams with their messages."""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

from driftgauge.producer.describing.schemas import Named, Schema
from driftgauge.producer.messages.kinds import KINDS, Kind
from driftgauge.producer.messages.schemas import one_of, parts
from driftgauge.producer.messages.streams import STREAMS, Stream
from driftgauge.shared.contract.alert import schema_id

PLACE: Final = "#/components/schemas/{name}"
TOLD: Final = "#/components/schemas/Api{name}"
"""Where the structs stand whose times are in ISO 8601."""
DESCRIPTION: Final = """
What Driftgauge writes and reads beside the routes of its API: streams in Redis, server-sent events,
and webhooks. Points in time are Unix ms in Redis and in webhooks, and ISO 8601 in what the API
tells. Each message has a JSON Schema of its own at `/schemas/NAME.json`.
"""
PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "prefix": {"description": "DRIFTGAUGE_KEY_PREFIX.", "default": "dg"},
    "model": {
        "description": "The model's name in braces, which are part of the key.",
        "examples": ["{steel}"],
    },
    "partition": {
        "description": "Model and partition in braces, which are part of the key; behind them a "
        "salt if the model has more than one partition.",
        "examples": ["{steel.0}", "{steel.1.40}"],
    },
    "route": {
        "description": "The route's name behind @, in braces, which are part of the key.",
        "examples": ["{@on-call}"],
    },
}
KEYS: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key with the scope."},
    "header": {"type": "httpApiKey", "in": "header", "name": "X-API-Key"},
}


@cache
def document() -> dict[str, Any]:
    """Return the document; it is not to be changed.

    Examples
    --------
    >>> found = document()
    >>> found["asyncapi"], found["channels"]["alerts"]["address"]
    ('3.0.0', '{prefix}:{model}:alerts')
    """
    return {
        "asyncapi": "3.0.0",
        "id": "urn:driftgauge:messages",
        "info": {
            "title": "Driftgauge",
            "version": version("driftgauge"),
            "description": DESCRIPTION.strip(),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "redis": {
                "host": "localhost:6379",
                "protocol": "redis",
                "description": "The Redis of DRIFTGAUGE_REDIS_URL.",
            },
            "api": {
                "host": "localhost:8000",
                "protocol": "http",
                "description": "The API, by HTTPS where a proxy gives it.",
                "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in KEYS],
            },
        },
        "channels": {stream.name: _channel(stream) for stream in STREAMS},
        "operations": {stream.name: _operation(stream) for stream in STREAMS},
        "components": {
            "securitySchemes": KEYS,
            "messages": {kind.name: _message(kind) for kind in KINDS} | {"binary": _BINARY},
            "schemas": _schemas(),
        },
    }


_BINARY: Final[dict[str, Any]] = {
    "name": "binary",
    "title": "What counting tells judging",
    "contentType": "application/vnd.msgpack",
}


def _channel(stream: Stream) -> dict[str, Any]:
    named = {
        name: given for name, given in PARAMETERS.items() if "{" + name + "}" in stream.address
    }
    found: dict[str, Any] = {
        "address": stream.address or None,
        "description": stream.says,
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"}
            for name in stream.messages or ("binary",)
        },
    }
    if named:
        found["parameters"] = named
    if stream.server:
        found["servers"] = [{"$ref": f"#/servers/{stream.server}"}]
    return found


def _operation(stream: Stream) -> dict[str, Any]:
    place = f"#/channels/{stream.name}"
    return {
        "action": stream.action,
        "channel": {"$ref": place},
        "messages": [
            {"$ref": f"{place}/messages/{name}"} for name in stream.messages or ("binary",)
        ],
    }


def _message(kind: Kind) -> dict[str, Any]:
    return {
        "name": kind.name,
        "title": kind.title,
        "payload": one_of(kind, TOLD if kind.told else PLACE),
        "x-schema-id": schema_id(kind.name),
    }


def _schemas() -> dict[str, Schema]:
    """Return the schemas of all structs: as Redis holds them, and as the API tells them."""
    stored = parts([kind for kind in KINDS if not kind.told], PLACE)
    told = parts([kind for kind in KINDS if kind.told], TOLD)
    by_hand = {
        kind.models.name: dict(kind.models.schema)
        for kind in KINDS
        if isinstance(kind.models, Named)
    }
    return stored | {f"Api{name}": schema for name, schema in told.items()} | by_hand
