"""The OpenAPI document of the whole API."""

from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import version
from threading import Lock
from typing import Any, Final

from fastapi import FastAPI

from driftgauge.producer.describing.declared import models_of
from driftgauge.producer.describing.schemas import components
from driftgauge.producer.http.problems import ProblemDocument

SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of `driftgauge keys create`.",
    },
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key, for clients that cannot send a bearer token.",
    },
}
OWN_TELEMETRY: Final[Any] = dict.fromkeys(
    ("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False
)
"""FastAPI's own spans and logs are off: they hold paths, queries and messages of exceptions, which
may be a person's; ours hold none (producer/watching/tracing.py). Older releases have no such spans.
"""
DESCRIPTION: Final = """
**Errors** are problem documents (RFC 9457), `application/problem+json`: `detail` says what was
wrong and what to do next, `errors` names every bad field. A browser that asks for a page gets one.

**Times** in answers are ISO 8601 in UTC, to the millisecond. Times in requests are ISO 8601 with a
zone, or Unix milliseconds; one without a zone is refused. In a URL `+` is written `%2B`.

**Lists** come in pages: `limit` says how many entries at most, `next` of an answer is the `cursor`
of the following page, and null on the last one.

**Unknown** parameters and fields are refused (422).

**Keys** have scopes; each operation names those of which one is enough. `admin` has all of them.
"""
TAGS: Final = {
    "predictions": "Predict, publish predictions that were made elsewhere, read them again.",
    "open inference": "The Open Inference Protocol, version 2, for clients of Triton and KServe.",
    "labels": "The true values of predictions, when they become known.",
    "models": "What is registered, what serves, and what it is compared with.",
    "drift": "How the current window of a model stands.",
    "reports": "Snapshots of a window, kept.",
    "alerts": "The evidence: each rule and column that fires.",
    "incidents": "What people are told: one fault, one incident.",
    "messages": "What streams, events and webhooks hold: AsyncAPI and JSON Schemas.",
    "health": "How the API and the pipeline behind it are.",
    "access": "A browser's session.",
}


def new_app(**more: Any) -> FastAPI:
    """Make an app with what its document says of the whole."""
    return FastAPI(
        title="Driftgauge",
        summary="Predictions in, events out; alerts, drift and reports.",
        description=DESCRIPTION.strip(),
        version=version("driftgauge"),
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        openapi_url=None,  # its own pages are open to everybody; ours are routes like the others
        telemetry=OWN_TELEMETRY,
        **more,
    )


def describe(app: FastAPI, endpoints: Iterable[Callable[..., Any]]) -> None:
    """Complete an app's document: the ways in which a key is sent, and the models of all routes.
    It is made when it is first asked for, and refused (TypeError) if two models have one name.

    Parameters
    ----------
    endpoints
        Those of the routes that are in the document.
    """
    described, made, making = list(endpoints), app.openapi, Lock()

    def openapi() -> dict[str, Any]:
        with making:  # threads may ask for it
            return made_once()

    @cache  # not at the start: most processes are never asked for it
    def made_once() -> dict[str, Any]:
        models = [ProblemDocument, *(model for one in described for model in models_of(one))]
        schemas = components(models)
        document = made()
        found = document.setdefault("components", {})
        found["securitySchemes"] = SCHEMES
        found["schemas"] = dict(sorted((found.get("schemas", {}) | schemas).items()))
        for operations in document["paths"].values():
            for operation in operations.values():
                for parameter in operation.get("parameters", ()):
                    parameter["schema"] = _sendable(parameter["schema"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation extends it


def _sendable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter without null, which only a signature has: no URL can say it.

    Examples
    --------
    >>> _sendable({"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Model"})
    {'type': 'string'}
    """
    found = {name: part for name, part in schema.items() if name != "title"}
    kinds = [one for one in found.get("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) == 1:
        del found["anyOf"]
        only: dict[str, Any] = kinds[0]
        return found | only
    return found | ({"anyOf": kinds} if kinds else {})
