"""POST /models/{model}/versions: a new version, from anywhere.

As `driftgauge models register` does it, which also runs here, in a process of its own.
"""

import asyncio
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import caller_of, needs
from driftgauge.producer.describing.declared import answers, in_path, takes
from driftgauge.producer.describing.schemas import Named, Schema
from driftgauge.producer.http.problems import RETRY_AFTER, Problem
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.intake.encodings import coding_of
from driftgauge.producer.parts import Parts
from driftgauge.producer.registering import child
from driftgauge.producer.registering.upload import BODY, PIECE, Upload, open_upload, part
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.raw_body import RawBodyRoute
from driftgauge.producer.routes.registry_requests import (
    check_version_name,
    from_registry,
)
from driftgauge.shared.artifacts import format_of
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.columns.choices import ColumnRow
from driftgauge.shared.registration.fields import FIELDS, FILES, FLAGS, Kind
from driftgauge.shared.registry.opening import registry_of

MOST_UPLOADS: Final = 8
"""Most uploads of one process that are being received or registered."""
SOME_VERSION: Final = "1.0.0"
PATH: Final = "/models/{model}/versions"
MODEL: Final = in_path("model", "Name of the model.")


def _field(kind: Kind) -> Schema:
    """Describe a field of the form."""
    text: Schema = {"type": "string"} | ({"enum": [*FLAGS]} if kind == "flag" else {})
    return {"type": "array", "items": text} if kind in {"many", "names"} else text


UPLOAD: Final = Named(
    "VersionUpload",
    {
        "type": "object",
        "required": ["reference"],
        "properties": {
            name: {"type": "string", "format": "binary", "description": meaning}
            for name, meaning in FILES.items()
        }
        | {
            name: _field(kind) | {"description": meaning}
            for name, (kind, meaning) in FIELDS.items()
        },
    },
)


class RegisteredVersion(msgspec.Struct, frozen=True):
    """A version that was registered.

    Parameters
    ----------
    rows
        Rows of the reference.
    columns
        How each column was taken.
    remarks
        What is to be said of the table as a whole.
    schema
        The schema, as a file of `--schema` has it.
    """

    model: str
    version: str
    rows: int
    columns: list[ColumnRow]
    remarks: list[str]
    schema: dict[str, Any]


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=RawBodyRoute, tags=["models"])
    settings, registry = parts.settings, registry_of(parts.settings)
    turn, places = asyncio.Lock(), asyncio.Semaphore(MOST_UPLOADS)

    @routes.post(PATH)
    @needs("admin")
    @takes({"multipart/form-data": UPLOAD}, ENCODING, MODEL)
    @answers(
        RegisteredVersion,
        "Registered, in stage none; the version's address as Location.",
        status=201,
        others={
            403: "A file that runs code, which is not taken; or the key lacks the scope.",
            409: "There is such a version, or it was purged.",
            501: "A package that the file needs is not installed.",
            507: "There is no room on disk.",
        },
    )
    async def register_version(request: Request) -> Response:
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
        made = msgspec.convert(found, RegisteredVersion)
        location = f"{settings.root_path}/models/{model}/versions/{made.version}"
        return answer(made, 201, {"Location": location})

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
