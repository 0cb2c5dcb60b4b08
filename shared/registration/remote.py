"""Registration of a version from anywhere: a frame or file, and a fitted model, sent to an API.

By the standard library alone, so that a training script, a notebook or a job needs no package of
ours.
"""

import http.client
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote, urlsplit

from driftgauge.shared.errors import AlreadyThere, BadData, ConfigurationError, ServiceUnavailable
from driftgauge.shared.registration.fields import fields_of
from driftgauge.shared.registration.mlflow_model import fetch, is_in_mlflow
from driftgauge.shared.registry.provenance import git_revision

TIMEOUT_S: Final = 1900.0
"""Longest wait for the answer: a registration reads the whole table, and takes the API's time."""
PIECE: Final = 1 << 20
USUAL_URL: Final = "http://127.0.0.1:8000"
WRITERS: Final = ("to_parquet", "write_parquet", "to_csv", "write_csv")
"""Methods of a frame of pandas or polars that write it to a file."""
NO_PARQUET: Final = 501
"""Status of an API without the package that reads Parquet."""


def register(
    frame: Any,
    *,
    model: str,
    prediction: str | None = None,
    target: str | None = None,
    time: str | None = None,
    artifact: str | Path | None = None,
    schema: str | Path | Mapping[str, Any] | None = None,
    url: str | None = None,
    key: str | None = None,
    promote: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Register a version at an API, from wherever it was trained.

    Parameters
    ----------
    frame
        The reference rows: a data frame of pandas or polars, a table of PyArrow, or the path of a
        file that the API reads (CSV, JSON lines, Parquet, Arrow).
    model
        Name of the model.
    prediction, target, time
        Columns of the predictions, of the true values and of the times of the rows, which are no
        features.
    artifact
        File of the fitted model, if the API is to predict, or a model of MLflow
        (`models:/NAME@ALIAS`, `runs:/RUN/PATH`); None if it is only monitored.
    schema
        Schema to use: its file, or its fields.
    url, key
        Address of the API, and a key with the scope admin; by default those of DRIFTGAUGE_API_URL
        and DRIFTGAUGE_API_KEY.
    promote
        Whether to put it into production, if it passes its gates.
    options
        What else `driftgauge models register` takes, by the names of its options:
        `version="2.0.0"`, `exclude=["id"]`, `metrics={"f1": 0.8}`, `labels=True`.

    Returns
    -------
    dict
        The model, its new version, the number of rows, and how each column is taken.

    Raises
    ------
    AlreadyThere
        If there is such a version.
    BadData
        If the API refuses what was sent; then nothing was registered.
    ServiceUnavailable
        If no API answers.
    TypeError
        If an option is none.
    """
    given = {
        "git_revision": git_revision(),
        "prediction_column": prediction,
        "target_column": target,
        "time_column": time,
    }
    api = _Api(url, key)
    with tempfile.TemporaryDirectory(prefix="driftgauge-") as folder:
        if artifact is not None and is_in_mlflow(artifact):
            told = fetch(str(artifact), Path(folder))
            artifact = told.pop("artifact")
            given |= told
        elif artifact is not None:
            given["trained"] = _written_at(Path(artifact))
        given |= options
        files = _files(artifact, schema)
        for reference in _written(frame, Path(folder)):
            status, answer = api.send(model, fields_of(given), {"reference": reference, **files})
            if status != NO_PARQUET:
                break
    found: dict[str, Any] = _checked(status, answer, AlreadyThere)
    if promote:
        path = f"/models/{quote(model)}/versions/{quote(found['version'])}/promote"
        _checked(*api.ask(path, {"reason": "promoted at its registration"}))
    return found


def _written_at(artifact: Path) -> str:
    """Return when a model file was written, ISO 8601; BadData if there is none."""
    try:
        written = artifact.stat().st_mtime
    except OSError as error:
        raise BadData(f"{artifact} cannot be read: {error.strerror}.") from error
    return datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")


def _files(
    artifact: str | Path | None, schema: str | Path | Mapping[str, Any] | None
) -> dict[str, Path | bytes]:
    files: dict[str, Path | bytes] = {}
    if artifact is not None:
        files["artifact"] = Path(artifact)
    if isinstance(schema, Mapping):
        files["schema"] = json.dumps(schema).encode()
    elif schema is not None:
        files["schema"] = Path(schema)
    return files


def _written(frame: Any, folder: Path) -> Iterator[Path]:
    """Yield the file of the rows: as Parquet, which keeps their types, and then as CSV, for an API
    that cannot read it.
    """
    if isinstance(frame, str | Path):
        yield Path(frame)
        return
    if hasattr(frame, "to_pandas") and not any(hasattr(frame, name) for name in WRITERS):
        frame = frame.to_pandas()  # a table of PyArrow
    path = folder / "reference"
    for name in WRITERS:
        write = getattr(frame, name, None)
        if write is not None:
            with suppress(ImportError):  # pandas without PyArrow
                write(path, **({"index": False} if name.startswith("to_") else {}))
                yield path
    if not path.exists():
        raise BadData(
            f"A {type(frame).__name__} is no frame that can be sent: give one of pandas, polars or "
            f"PyArrow, or the path of a file."
        )


class _Api:
    """Where requests go, and with which key."""

    def __init__(self, url: str | None, key: str | None) -> None:
        self._url = (url or os.environ.get("DRIFTGAUGE_API_URL") or USUAL_URL).rstrip("/")
        self._place = urlsplit(self._url)
        if self._place.scheme not in {"http", "https"} or not self._place.hostname:
            raise ConfigurationError(
                f"{self._url!r} is no address of an API: give http://HOST:PORT."
            )
        given = key or os.environ.get("DRIFTGAUGE_API_KEY") or ""
        if not (given.isascii() and given.isprintable()):
            raise ConfigurationError("The key has characters that no key has.")
        self._headers = {"Authorization": f"Bearer {given}"} if given else {}

    def send(
        self, model: str, fields: Mapping[str, Sequence[str]], files: Mapping[str, Path | bytes]
    ) -> tuple[int, Any]:
        """Post an upload; the answer's status and document."""
        boundary = uuid.uuid4().hex
        with tempfile.TemporaryFile() as body:
            _write_multipart(body, boundary, fields, files)
            length = body.tell()
            body.seek(0)
            headers = {
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "Content-Length": str(length),
            }
            return self._post(f"/models/{quote(model, safe='')}/versions", body, headers)

    def ask(self, path: str, document: Mapping[str, Any]) -> tuple[int, Any]:
        """Post a document; the answer's status and document."""
        body = json.dumps(document).encode()
        return self._post(path, body, {"Content-Type": "application/json"})

    def _post(self, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
        kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        host = self._place.hostname or ""
        connection = kind[self._place.scheme](
            host, self._place.port, timeout=TIMEOUT_S, blocksize=PIECE
        )
        try:
            with suppress(
                BrokenPipeError, ConnectionResetError
            ):  # it has answered already: read it
                connection.request(
                    "POST", self._place.path + path, body, {**self._headers, **headers}
                )
            answer = connection.getresponse()
            return answer.status, _document(answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise ServiceUnavailable(
                f"No API at {self._url} ({type(error).__name__}: {error}). Start one with "
                f"`driftgauge up`, or name it with url= or DRIFTGAUGE_API_URL."
            ) from error
        finally:
            connection.close()


def _write_multipart(
    body: IO[bytes],
    boundary: str,
    fields: Mapping[str, Sequence[str]],
    files: Mapping[str, Path | bytes],
) -> None:
    """Write fields and files as multipart/form-data (RFC 7578)."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="'.encode()
    for name, texts in fields.items():
        for text in texts:
            body.write(head + f'{name}"\r\n\r\n{text}\r\n'.encode())
    for name, content in files.items():
        suffix = (
            content.suffix if isinstance(content, Path) and content.suffix[1:].isalnum() else ""
        )
        body.write(head + f'{name}"; filename="{name}{suffix}"\r\n\r\n'.encode())
        if isinstance(content, bytes):
            body.write(content)
        else:
            try:
                with content.open("rb") as file:
                    shutil.copyfileobj(file, body, PIECE)
            except OSError as error:
                raise BadData(f"{content} cannot be read: {error.strerror}.") from error
        body.write(b"\r\n")
    body.write(f"--{boundary}--\r\n".encode())


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:  # of a proxy before the API
        return {"detail": body[:200].decode(errors="replace")}


def _checked(status: int, answer: Any, conflict: type[BadData] = BadData) -> Any:
    """Return a document that was asked for; errors become ours, 409 the one of `conflict`."""
    if status < 300:
        return answer
    told = answer if isinstance(answer, dict) else {}
    faults = [f"{fault['field']} {fault['message']}" for fault in told.get("errors", ())]
    kind = ServiceUnavailable if status >= 500 else conflict if status == 409 else BadData
    said = " ".join((str(told.get("detail", "")), "; ".join(faults))).strip()
    raise kind(f"The API answered {status}: {said}")
