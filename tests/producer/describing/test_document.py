"""The OpenAPI document: what every route says of itself."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from driftgauge.producer.access.control import Guarded, for_everybody, needs
from driftgauge.producer.app import create_app
from driftgauge.producer.describing.declared import answers
from driftgauge.producer.describing.document import describe
from driftgauge.producer.http.problems import MEDIA_TYPE
from driftgauge.producer.routes.judged.alerts import AlertPage
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running
from tests.producer.routes.test_predict import problem

PROBLEM = {"$ref": "#/components/schemas/ProblemDocument"}
VERBS = {
    "accept", "acknowledge", "check", "count", "declare", "follow", "get", "infer", "list", "log",
    "predict", "promote", "publish", "recognise", "register", "roll", "silence", "undo",
}  # fmt: skip
"""How an operation begins: with what it does."""
ALONE = {"infer", "predict"}
"""Operations that need no second word."""
UNREADY = {("/readyz", "503"), ("/v2/health/ready", "503")}
"""Answers that are no error of the request."""
TIMES = {"time", "created", "started", "updated", "ended", "until", "opened"}
WORDS = {
    "limit": "Most entries of the answer.",
    "cursor": "`next` of the page before; the first page if absent.",
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("document")
    return create_app(Settings(registry_dir=folder, data_dir=folder)).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def models_in(part: Any) -> Iterator[str]:
    """Yield the names of the components that a part of the document refers to."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].removeprefix("#/components/schemas/")
        part = [*part.values()]
    if isinstance(part, list):
        for one in part:
            yield from models_in(one)


def test_every_operation_reads_well(document: dict[str, Any]) -> None:
    """Its id begins with a verb, is its own, and is its summary in words; a sentence describes it,
    and each of its parameters.
    """
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for _, path, operation in operations(document):
        name = operation["operationId"]
        verb, *rest = name.split("_")
        assert verb in VERBS, f"{name}: begin with what it does"
        assert rest or name in ALONE, f"{name}: say what it does it with"
        assert operation["summary"] == name.replace("_", " ").capitalize()
        assert operation["description"].endswith((".", "!")), path
        assert len(operation["tags"]) == 1
        parts = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert parts == set(re.findall(r"{(\w+)}", path))
        for parameter in operation.get("parameters", ()):
            said = parameter.get("description", "")
            assert said.endswith("."), (path, parameter["name"])


def test_every_answer_has_a_model(document: dict[str, Any]) -> None:
    """JSON is described by a component, everywhere; each is there, and says what it is, as every
    component of an answer does.
    """
    schemas = document["components"]["schemas"]
    for method, path, operation in operations(document):
        bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
        for body in bodies:
            for media, content in body.get("content", {}).items():
                if media in {"application/json", MEDIA_TYPE}:
                    assert "$ref" in content["schema"], (method, path)
        good = [int(status) for status in operation["responses"] if int(status) < 400]
        assert good, (method, path)
        answered = {
            name
            for body in operation["responses"].values()
            for name in models_in(body.get("content", {}))
        }
        for name in answered:
            assert schemas[name].get("description"), name
    assert set(models_in(document)) == schemas.keys()


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    """Every status from 400 on is described as problem+json, and those are named that any route of
    its kind may answer; none hides behind `default`.
    """
    for method, path, operation in operations(document):
        found = operation["responses"]
        assert "default" not in found
        for status, answer in found.items():
            if int(status) >= 400 and (path, status) not in UNREADY:
                assert MEDIA_TYPE in answer["content"], (method, path, status)
                assert answer["description"]
        needed = {"400", "408", "422", "431", "500"}
        if operation.get("security"):
            needed |= {"401", "403", "421", "429", "503"}
        if method == "post":
            needed |= {"403", "413", "415", "421", "429"}
        if "{" in path:
            needed |= {"404"}
        assert needed <= found.keys(), (method, path)


def test_lists_have_one_pagination(document: dict[str, Any]) -> None:
    """What is listed comes by `limit` and `cursor`, and `next` of the answer; no other name means
    the same.
    """
    schemas = document["components"]["schemas"]
    listed = 0
    for method, path, operation in operations(document):
        names = {one["name"]: one for one in operation.get("parameters", ())}
        assert not names.keys() & {"count", "before", "after", "page", "offset", "size"}, path
        content = operation["responses"].get("200", {}).get("content", {})
        place = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        page = schemas.get(place.rpartition("/")[2], {})
        has_next = "next" in page.get("properties", ())
        assert (has_next, has_next) == ("limit" in names, "cursor" in names), (method, path)
        if has_next:
            listed += 1
            assert {name: names[name]["description"] for name in WORDS} == WORDS
            assert names["limit"]["schema"]["minimum"] == 1
            assert "next" in page["required"]
    assert listed >= 8


def test_times_are_iso_8601(document: dict[str, Any]) -> None:
    """No field of an answer is a number of milliseconds since 1970."""
    for name, schema in document["components"]["schemas"].items():
        for field, one in schema.get("properties", {}).items():
            parts = [one, *one.get("anyOf", ())]
            assert not any("unit" in part for part in parts), (name, field)
            is_struct = any("$ref" in part for part in parts)
            if not is_struct and field in {
                "time",
                "created",
                "started",
                "updated",
                "ended",
                "until",
                "opened",
            }:
                assert any(part.get("format") == "date-time" for part in parts), (name, field)


def test_a_route_without_a_declaration_cannot_be_made() -> None:
    """A route of the document says what it answers, or the app does not start."""
    routes = APIRouter(route_class=Guarded)

    @needs("read")
    async def get_nothing() -> None:
        """Return nothing."""

    with pytest.raises(TypeError, match="does not declare what it answers"):
        routes.add_api_route("/nothing", get_nothing)


def test_two_models_of_one_name_are_refused() -> None:
    """Structs of the same name would hide each other in the document."""
    other = type(AlertPage)("AlertPage", (AlertPage,), {}, frozen=True)

    @for_everybody
    @answers(AlertPage, "A page.")
    async def list_alerts() -> None: ...

    @for_everybody
    @answers(other, "Another.")
    async def list_others() -> None: ...

    app = FastAPI()
    describe(app, [list_alerts, list_others])
    with pytest.raises(TypeError, match="named AlertPage"):
        app.openapi()


@pytest.mark.anyio
@pytest.mark.usefixtures("linear")
async def test_unknown_parameters_are_refused(settings: Settings) -> None:
    """On every route, of the document or a page, a parameter that it does not know is 422 and named
    with those that there are; so is one that is given twice where one is meant.
    """
    app = create_app(settings)
    async with running(app) as http:
        for route in app.state.routes:
            path = re.sub(r"{[^}]+}", "0" * 16, route.path_format)
            for method in sorted(route.methods or ()):
                answer = await http.request(method, f"{path}?modle=steel")
                said = problem(answer, 422)
                assert said["errors"][0]["field"] == "/query/modle", (method, path)
        said = problem(await http.get("/alerts?state=firing&state=pending"), 422)
        assert said["errors"] == [
            {"field": "/query/state", "message": "is given several times; give one value"}
        ]
        said = problem(await http.get("/drift?feature=x"), 422)
        assert said["errors"][0]["message"] == "is unknown here; known are model, version"
        table = {"content": b"code,x\n1,2\n3,4\n", "headers": {"content-type": "text/csv"}}
        several = "/columns?type=code=categorical&type=x=categorical"
        assert (await http.post(several, **table)).status_code == 200  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_every_method_of_a_path_is_told(settings: Settings) -> None:
    """405 names the methods of all routes of the path."""
    async with running(create_app(settings)) as http:
        for path, methods in (("/labels", "GET, POST"), ("/drift", "GET"), ("/predict", "POST")):
            refused = await http.put(path)
            problem(refused, 405)
            assert refused.headers["allow"] == methods


@pytest.mark.anyio
async def test_key_and_method_come_first(settings: Settings) -> None:
    """Who may not ask learns nothing of the parameters; another method is 405."""
    create_key(settings.keys_path, "ann", ("read",), None)
    async with running(create_app(settings)) as http:
        problem(await http.get("/alerts?modle=steel"), 401)
        problem(await http.put("/livez?modle=steel"), 405)


def test_the_document_of_an_answer_is_made_of_its_struct(document: dict[str, Any]) -> None:
    """Words, types and what is always there come from the struct: of a tuple its parts, of a time
    its form, of what is left out when it is empty that it may be absent.
    """
    schemas = document["components"]["schemas"]
    assert schemas["AlertPage"]["required"] == ["alerts", "next"]
    assert schemas["PredictionAnswer"]["required"] == [
        "id", "model", "version", "prediction", "event",
    ]  # fmt: skip
    evidence = schemas["AlertEvidence"]["properties"]
    assert evidence["window_start"].items() >= {"type": "string", "format": "date-time"}.items()
    assert schemas["Histogram"]["properties"]["below"]["prefixItems"] == [{"type": "number"}] * 2
    assert schemas["Lag"]["properties"]["entries"]["description"].startswith("Their number")
