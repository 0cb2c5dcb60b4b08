"""What a route takes and answers, declared beside its endpoint:

    @routes.get("/alerts")
    @needs("read")
    @answers(AlertPage, "Transitions, the newest first.")
    async def list_alerts(...)

The name of the endpoint is the operation's id, and in words its summary. A route of the document
without a declaration cannot be made.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from driftgauge.producer.describing.schemas import Model, Schema, reference
from driftgauge.producer.http.problems import MEDIA_TYPE, ProblemDocument

DECLARED: Final = "declared_answers"
TAKEN: Final = "declared_body"
JSON: Final = "application/json"

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Content = Mapping[str, Model]
"""Media type to what is in it."""


@dataclass(frozen=True)
class Answer:
    """What is answered with one status: the meaning of it, and the forms of its body."""

    meaning: str
    content: Content = field(default_factory=dict)


@dataclass(frozen=True)
class Taken:
    """What a route reads by itself: the forms of the body, and parameters beside those of its
    endpoint's signature, as OpenAPI describes them.

    Parameters
    ----------
    optional
        Whether a request may come without a body.
    """

    content: Content = field(default_factory=dict)
    parameters: Sequence[Schema] = ()
    optional: bool = False


def answers(
    content: Model | Content | None,
    meaning: str,
    *,
    status: int = 200,
    others: Mapping[int, str | Answer] | None = None,
) -> Callable[[Endpoint], Endpoint]:
    """Declare what an endpoint answers.

    Parameters
    ----------
    content
        Type of the body, which is JSON; or media type to type; None for no body.
    meaning
        What the answer is, in a sentence.
    status
        Status of a request that did what it asked for.
    others
        Other statuses: what each means as a problem, or a whole answer. What every route may answer
        need not be named (errors.py).
    """
    found = {status: Answer(meaning, _content(content))} | {
        code: problem(other) if isinstance(other, str) else other
        for code, other in (others or {}).items()
    }

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, DECLARED, found)
        return endpoint

    return declare


def takes(
    content: Model | Content | None, *parameters: Schema, optional: bool = False
) -> Callable[[Endpoint], Endpoint]:
    """Declare the body and the parameters that an endpoint reads by itself."""
    found = Taken(_content(content), parameters, optional)

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, TAKEN, found)
        return endpoint

    return declare


def problem(meaning: str, model: Model = ProblemDocument) -> Answer:
    """Describe an error answer."""
    return Answer(meaning, {MEDIA_TYPE: model})


def in_query(name: str, meaning: str, schema: Schema | None = None) -> Schema:
    """Describe a parameter of the query that an endpoint reads by itself.

    Examples
    --------
    >>> in_query("model", "The model.")["schema"]
    {'type': 'string'}
    """
    return {
        "name": name,
        "in": "query",
        "required": False,
        "schema": schema or {"type": "string"},
        "description": meaning,
    }


def in_path(name: str, meaning: str) -> Schema:
    """Describe a part of the path that an endpoint reads by itself.

    Examples
    --------
    >>> in_path("model", "The model.")["required"]
    True
    """
    return in_query(name, meaning) | {"in": "path", "required": True}


def answers_of(endpoint: Callable[..., Any]) -> Mapping[int, Answer]:
    """Return what an endpoint declares to answer; empty if nothing."""
    found: Mapping[int, Answer] = getattr(endpoint, DECLARED, {})
    return found


def taken_by(endpoint: Callable[..., Any]) -> Taken:
    """Return what an endpoint reads by itself."""
    found: Taken = getattr(endpoint, TAKEN, Taken())
    return found


def summary_of(endpoint: Callable[..., Any]) -> str:
    """Return an endpoint's name in words.

    Examples
    --------
    >>> def list_alerts(): ...
    >>> summary_of(list_alerts)
    'List alerts'
    """
    return endpoint.__name__.replace("_", " ").capitalize()


def as_responses(found: Mapping[int, Answer]) -> dict[int | str, dict[str, Any]]:
    """Describe answers for OpenAPI."""
    return {
        status: {"description": answer.meaning}
        | ({"content": _in_document(answer.content)} if answer.content else {})
        for status, answer in sorted(found.items())
    }


def as_operation(taken: Taken) -> dict[str, Any]:
    """Describe a body and parameters for OpenAPI."""
    found: dict[str, Any] = {}
    if taken.content:
        found["requestBody"] = {
            "required": not taken.optional,
            "content": _in_document(taken.content),
        }
    if taken.parameters:
        found["parameters"] = [*taken.parameters]
    return found


def models_of(endpoint: Callable[..., Any]) -> Iterator[Model]:
    """Yield all types that an endpoint names."""
    yield from taken_by(endpoint).content.values()
    for answer in answers_of(endpoint).values():
        yield from answer.content.values()


def _content(content: Model | Content | None) -> Content:
    if content is None:
        return {}
    return content if isinstance(content, Mapping) else {JSON: content}


def _in_document(content: Content) -> dict[str, Any]:
    return {media: {"schema": reference(model)} for media, model in content.items()}
