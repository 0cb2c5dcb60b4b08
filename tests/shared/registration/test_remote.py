"""`driftgauge.register` and `driftgauge models register --url`: a version from another machine."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner

import driftgauge
from driftgauge.consumer.commands.models import models
from driftgauge.shared.errors import (
    AlreadyThere,
    BadData,
    ConfigurationError,
    ServiceUnavailable,
)
from driftgauge.shared.registration import remote
from driftgauge.shared.registry.registry import ModelRegistry
from tests.producer.conftest import api_process, settings_in

RANDOM = np.random.default_rng(3)
FRAME = pd.DataFrame(
    {
        "size": RANDOM.normal(100, 20, 1200),
        "city, or town": RANDOM.choice(["rome", "oslo"], 1200),
        "price": RANDOM.normal(size=1200),
    }
)


def test_a_frame_becomes_a_version_in_production(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    """A frame is registered at a running API with its options, and promoted."""
    settings = settings_in(tmp_path, redis_url, prefix)
    with api_process(settings, tmp_path) as (api, _):
        found = driftgauge.register(
            pl.from_pandas(FRAME),
            model="houses",
            prediction="price",
            exclude=["city, or town"],
            metrics={"rmse": 0.5},
            labels=True,
            url=api,
            promote=True,
        )
        with pytest.raises(AlreadyThere, match="registered already"):
            driftgauge.register(FRAME, model="houses", version="1.0.0", url=api)
    assert [row["column"] for row in found["columns"]] == ["size", "city, or town", "price"]
    registry = ModelRegistry(settings.registry_dir)
    version = registry.load("houses", registry.production("houses"))
    assert version.manifest.metrics == {"rmse": 0.5}
    assert version.manifest.labels
    assert [one.name for one in version.schema.features if one.excluded] == ["city, or town"]


def test_the_command_sends_what_it_was_told(tmp_path: Path) -> None:
    """`--url` sends the file and every option that was given, and shows the table of the answer;
    what is for the registry here is refused.
    """
    row = {"kind": "numeric", "why": "as said", "missing": 0, "distinct": 2, "shown": "1 to 2"}
    api = Api((201, {**OK, "columns": [{"column": "size", **row}]}))
    (tmp_path / "rows.csv").write_text("size,price\n1,2\n")
    arguments = ["register", "m", "--reference", str(tmp_path / "rows.csv"), "--url", api.url]
    done = CliRunner().invoke(
        models, [*arguments, "--prediction-column", "price", "--gate", "rmse<=4", "--labels"]
    )
    api.stop()
    assert done.exit_code == 0, done.output
    assert "as said" in done.stdout
    assert "m 1.0.0 is registered at" in done.stdout
    for sent in (b"size,price", b'"prediction_column"\r\n\r\nprice', b"rmse<=4", b'"labels"'):
        assert sent in api.bodies[0]
    assert b"max_latency_ms" not in api.bodies[0]
    refused = CliRunner().invoke(models, [*arguments, "--actor", "eve"])
    assert (refused.exit_code, "leave it out with --url" in refused.output) == (2, True)


class Api(HTTPServer):
    """An API that answers as it is told, and keeps what it was sent."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.answers = list(answers)
        self.bodies: list[bytes] = []
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/below"


class Answering(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        assert self.path.startswith("/below/models/m/versions")
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        status, document = self.server.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: Any) -> None:
        pass


OK = {"model": "m", "version": "1.0.0", "columns": [], "rows": 1, "remarks": []}


def test_an_api_without_parquet_gets_csv() -> None:
    """Frames of pandas, polars and PyArrow are sent as Parquet, and once more as CSV to an API that
    cannot read it.
    """
    for frame in (FRAME, pl.from_pandas(FRAME), pa.Table.from_pandas(FRAME)):
        api = Api((501, {"detail": "no parquet"}), (201, OK))
        assert driftgauge.register(frame, model="m", url=api.url)["version"] == "1.0.0"
        api.stop()
        assert [b"PAR1" in body for body in api.bodies] == [True, False]
        assert b'size,"city, or town",price' in api.bodies[1]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """A refusal with its fields, an API that is not there, a frame that is none, an option that is
    none, an artifact that is not there: an error each, that says what to do.
    """
    fault = {"detail": "No.", "errors": [{"field": "/task", "message": "must be other"}]}
    api = Api((422, fault), (503, {"detail": "busy"}))
    for error, told in ((BadData, r"422: No\. /task must be other"), (ServiceUnavailable, "busy")):
        with pytest.raises(error, match=told):
            driftgauge.register(FRAME, model="m", url=api.url)
    api.stop()
    with pytest.raises(ServiceUnavailable, match="No API at"):
        driftgauge.register(FRAME, model="m", url=api.url)
    with pytest.raises(ConfigurationError, match="no address"):
        driftgauge.register(FRAME, model="m", url="localhost:8000")
    with pytest.raises(TypeError, match="colour is no option"):
        driftgauge.register(FRAME, model="m", colour="red", url=api.url)
    with pytest.raises(BadData, match="no frame that can be sent"):
        driftgauge.register([1, 2], model="m", url=api.url)
    with pytest.raises(BadData, match=r"gone\.txt cannot be read"):
        driftgauge.register(FRAME, model="m", artifact=tmp_path / "gone.txt", url=api.url)


def test_fields_go_there_and_back() -> None:
    """What the client writes is what the API's options read, whatever the names are."""
    names = ["a", "b,c", 'd"e', " f"]
    fields = remote.fields_of({"exclude": names})
    from driftgauge.shared.tables import options

    parted = options._parted(None, None, fields["exclude"])  # type: ignore[arg-type]
    assert [*parted] == [name.strip() for name in names]
    assert msgspec.json.encode(fields)
