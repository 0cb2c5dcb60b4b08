"""POST /models/{model}/versions: a new version, from anywhere.

As `driftgauge models register` does it, which also runs here, in a process of its own.
"""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import caller_of, needs
from driftgauge.producer.http.problems import RETRY_AFTER, Problem
from driftgauge.producer.intake.encodings import coding_of
from driftgauge.producer.parts import Parts
from driftgauge.producer.registering import child
from driftgauge.producer.registering.upload import BODY, PIECE, Upload, open_upload, part
from driftgauge.producer.routes.columns import COLUMN
from driftgauge.producer.routes.raw_body import RawBodyRoute, documented
from driftgauge.producer.routes.registry_requests import (
    check_version_name,
    from_registry,
    json_answer,
)
from driftgauge.shared.artifacts import format_of
from driftgauge.shared.errors import BadData
from driftgauge.shared.registration.fields import FIELDS, FILES
from driftgauge.shared.registry.opening import registry_of

MOST_UPLOADS: Final = 8
"""Most uploads of one process that are being received or registered."""
SOME_VERSION: Final = "1.0.0"
PATH: Final = "/models/{model}/versions"
ANSWER: Final = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "version": {"type": "string"},
        "rows": {"type": "integer", "description": "Rows of the reference."},
        "columns": {"type": "array", "items": COLUMN},
        "remarks": {"type": "array", "items": {"type": "string"}},
        "schema": {"type": "object", "description": "As `models register --schema` takes it."},
    },
}


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=RawBodyRoute, tags=["models"])
    settings, registry = parts.settings, registry_of(parts.settings)
    turn, places = asyncio.Lock(), asyncio.Semaphore(MOST_UPLOADS)

    @routes.post(PATH, status_code=201, openapi_extra=_documented())
    @needs("admin")
    async def register(request: Request) -> Response:
        """Register a version: its reference rows, and the fitted model if it is to be served here.

        The parts are the files `reference`, `artifact` and `schema`, and fields by the names of the
        options of `driftgauge models register`. The version is stored whole or not at all; one
        upload at a time is registered. 409: there is such a version already.
        """
        model = request.path_params["model"]
        check_version_name(model, SOME_VERSION)
        if places.locked():
            raise Problem(
                503,
                f"{MOST_UPLOADS} versions are being registered, the most at a time; send it again "
                f"later.",
                (),
                RETRY_AFTER,
            )
        async with places:
            upload = await _opened(parts)
            try:
                await _receive(request, upload, settings.register_max_bytes)
                _check_artifact(upload, joblib=settings.register_joblib)
                for version in upload.fields.get("version", []):
                    check_version_name(model, version)
                    await from_registry(lambda: registry.require_new(model, version))  # noqa: B023  it is called at once
                async with turn:
                    found = await child.register(upload, model, caller_of(request).name, settings)
            except OSError as error:
                raise _no_room(error) from error
            finally:
                await asyncio.to_thread(upload.close)
        del found["folder"]
        location = f"{settings.root_path}/models/{model}/versions/{found['version']}"
        answer = json_answer(found, 201)
        answer.headers["Location"] = location
        return answer

    return routes


async def _opened(parts: Parts) -> Upload:
    try:
        return await asyncio.to_thread(open_upload, parts.settings.data_dir)
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> Problem:
    return Problem(
        507,
        f"A registration needs room in the API's data folder (DRIFTGAUGE_DATA_DIR): "
        f"{error.strerror}. Nothing was registered.",
    )


async def _receive(request: Request, upload: Upload, most: int) -> None:
    """Write the body to disk, a megabyte at a time, and part it there."""
    coding = coding_of(request.headers)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > most:
        raise _too_large(most)
    size, waiting = 0, bytearray()
    with (upload.folder / BODY).open("wb") as body:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            waiting += chunk
            if len(waiting) >= PIECE:
                await asyncio.to_thread(body.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(body.write, bytes(waiting))
    content_type = request.headers.get("content-type", "")
    await asyncio.to_thread(part, upload, content_type, coding, most)


def _too_large(most: int) -> Problem:
    return Problem(
        413,
        f"The body is larger than {most:,} bytes (DRIFTGAUGE_REGISTER_MAX_BYTES). Nothing was "
        f"registered; send fewer rows: some ten thousand make a good reference.",
    )


def _check_artifact(upload: Upload, *, joblib: bool) -> None:
    """Refuse a file of no known format, and one that runs code when it is loaded, unless the
    settings allow it.

    Raises
    ------
    Problem
        403, 422.
    """
    artifact = upload.files.get("artifact")
    if artifact is None:
        return
    try:
        form = format_of(artifact)
    except BadData as error:
        raise Problem(422, upload.named(str(error))) from error
    if form.runs_code and not joblib:
        raise Problem(
            403,
            "A joblib or pickle file runs code when it is loaded, and this API takes none "
            "(DRIFTGAUGE_REGISTER_JOBLIB). Register it on the API's machine by `driftgauge models "
            "register`, or send a format that is data alone: ONNX, or that of LightGBM, XGBoost or "
            "CatBoost.",
        )


def _documented() -> dict[str, Any]:
    """Describe the route for OpenAPI."""
    found = documented(
        {}, 201, "Registered, in stage none; the version's address as Location.", ANSWER
    )
    properties: dict[str, Any] = {
        name: {"type": "string", "format": "binary", "description": meaning}
        for name, meaning in FILES.items()
    }
    for name, (kind, meaning) in FIELDS.items():
        text = {"type": "string"} | ({"enum": ["true", "false"]} if kind == "flag" else {})
        several = {"type": "array", "items": text} if kind in {"many", "names"} else text
        properties[name] = {**several, "description": meaning}
    body = {"type": "object", "required": ["reference"], "properties": properties}
    found["requestBody"]["content"] = {"multipart/form-data": {"schema": body}}
    problem = found["responses"]["422"]["content"]
    found["responses"] |= {
        "403": {"description": "A file that runs code, which is not taken.", "content": problem},
        "409": {"description": "There is such a version, or it was purged.", "content": problem},
    }
    return found
