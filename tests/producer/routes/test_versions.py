"""POST /models/{model}/versions: a registration from anywhere."""

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import joblib
import msgspec
import pytest
from sklearn.linear_model import LinearRegression

from driftgauge.consumer.commands.registering import register as command
from driftgauge.consumer.offline.reference_table import Recognised
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.producer.app import create_app
from driftgauge.producer.confined import Ended
from driftgauge.producer.registering import child
from driftgauge.producer.registering.upload import open_upload
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.registration.fields import FIELDS, FILES
from driftgauge.shared.registry import trial
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from driftgauge.shared.storage.folder import Folder
from tests.producer.conftest import SCHEMA, publish, running
from tests.producer.conftest import rows as train
from tests.producer.routes.test_columns import bodies, rows
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio
PATH = "/models/houses/versions"


def left(settings: Settings) -> list[str]:
    """Return what stands in the folder of the uploads, and in the registry."""
    uploads = settings.data_dir / "uploads"
    found = [path.name for path in uploads.glob("*") if path.name != "lock"]
    return found + [str(path) for path in settings.registry_dir.rglob("manifest.json")]


def test_the_fields_are_the_options() -> None:
    """Each option of `driftgauge models register` is a field, but for those that are about this
    machine; and each field is an option.
    """
    options = {
        option.removeprefix("--").replace("-", "_")
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    here = {"write_schema", "json", "actor", "promote", "url"}
    assert options - here == {*FIELDS, *FILES}


async def test_it_answers_with_the_table_of_columns(settings: Settings, tmp_path: Path) -> None:
    """A table in any format and a model file become a version: line by line the table that the
    command shows, its schema and metrics, in stage none; nothing else stays on disk. A file that
    runs code is taken, if the settings allow it.
    """
    open_api = settings.model_copy(update={"register_joblib": True})
    told, path, model = list[Recognised](), tmp_path / "rows.parquet", tmp_path / "model.joblib"
    path.write_bytes(bodies()["parquet"])
    frame = rows()
    joblib.dump(LinearRegression().fit(frame[["load"]], frame["y"]), model)
    trial.note(Folder(settings.registry_dir), model.read_bytes())  # else it costs a process more
    register_version(
        ModelRegistry(tmp_path / "elsewhere"),
        Submission("m", path, target_column="y", artifact=model),
        told.append,
    )
    async with running(create_app(open_api)) as http:
        answer = await http.post(
            PATH,
            data={"target_column": "y", "metrics": ["rmse=2.5", "r2=0.5"], "git_revision": "abc"},
            files={"reference": path.read_bytes(), "artifact": ("m.JOBLIB", model.read_bytes())},
        )
        assert answer.status_code == 201, answer.text
        found = answer.json()
        assert answer.headers["location"] == f"{PATH}/1.0.0"
        assert (await http.get(answer.headers["location"])).status_code == 200
    expected: Any = msgspec.to_builtins(told[0].rows)
    assert found["columns"] == [{**row, "warnings": [*row["warnings"]]} for row in expected]
    assert (found["version"], found["rows"]) == ("1.0.0", 300)
    registry = ModelRegistry(settings.registry_dir)
    manifest = registry.manifest("houses", "1.0.0")
    assert (manifest.metrics, manifest.git_revision) == ({"rmse": 2.5, "r2": 0.5}, "abc")
    assert (manifest.artifact, registry.stage("houses", "1.0.0")) == ("model.joblib", "none")
    assert registry.verify("houses") == []
    assert not [name for name in left(settings) if not name.endswith("manifest.json")]


async def test_what_is_refused_leaves_nothing(settings: Settings, registry: ModelRegistry) -> None:
    """A version that exists, an upload that cannot be used, a file that runs code, a body that is
    too large or a bomb: each has its status, and nothing of it stays.
    """
    small = settings.model_copy(update={"register_max_bytes": 60_000})
    csv = b"x,y\n" + b"".join(b"%d.5,%d\n" % (n, n) for n in range(300))
    boundary = {"Content-Type": "multipart/form-data; boundary=b"}
    head = b'--b\r\nContent-Disposition: form-data; name="reference"; filename="r"\r\n\r\n'
    async with running(create_app(small)) as http:

        async def post(status: int, path: str = PATH, **more: Any) -> str:
            return str(problem(await http.post(path, **more), status)["detail"])

        reference = {"reference": csv}
        assert "no model name" in await post(404, "/models/Houses/versions", files=reference)
        assert "version" in await post(404, data={"version": "one"}, files=reference)
        told = await post(403, files={**reference, "artifact": ("m.joblib", b"x")})
        assert "DRIFTGAUGE_REGISTER_JOBLIB" in told
        assert "m.doc" not in await post(422, files={**reference, "artifact": ("m.doc", b"x")})
        await post(422, data={"colour": "red", "labels": "on"}, files=reference)
        await post(422, files={"artifact": ("m.txt", b"tree")})
        await post(415, content=csv)
        await post(413, files={"reference": csv * 40})
        await post(400, content=head + csv, headers=boundary)
        await post(400, content=b"nothing", headers=boundary)
        packed = gzip.compress(head + b"0" * (1 << 20) + b"\r\n--b--\r\n")
        await post(413, content=packed, headers={**boundary, "Content-Encoding": "gzip"})
        await post(400, content=head.replace(b"reference", b"x" * 10_000), headers=boundary)
        assert left(small) == []
        publish(registry, "houses", SCHEMA, train())
        assert "registered already" in await post(409, data={"version": "1.0.0"}, files=reference)
    assert [name for name in left(small) if not name.endswith("manifest.json")] == []


async def test_it_needs_an_admin(settings: Settings) -> None:
    """A key that may predict may not register."""
    keys = {
        scope: create_key(settings.keys_path, scope, (scope,), None)
        for scope in ("admin", "predict")
    }
    async with running(create_app(settings)) as http:
        for scope, status in (("predict", 403), ("admin", 422)):
            headers = {"Authorization": f"Bearer {keys[scope]}"}
            answer = await http.post(PATH, files={"artifact": b""}, headers=headers)
            assert answer.status_code == status


@pytest.mark.parametrize(
    ("code", "complaint", "status", "told"),
    [
        (
            65,
            "warning\ndriftgauge: {}/reference has no column z\nat all\n",
            422,
            "The reference has no",
        ),
        (2, "Usage: x\n\nError: Invalid value for '--task'\n", 422, "Invalid value for '--task'"),
        (73, "driftgauge: m 1.0.0 is registered already\n", 409, "m 1.0.0 is registered already"),
        (78, "driftgauge: This needs pyarrow: pip install\n", 501, "This needs pyarrow"),
        (77, "", 413, "MiB of memory"),
        (-signal.SIGALRM, "", 413, "took more than 1800 s"),
        (-signal.SIGSEGV, "", 422, "ended by SIGSEGV"),
        (1, "Traceback: secret", 500, "by a fault that is not yours"),
        (65, "Traceback\nValueError: secret\n", 500, "by a fault that is not yours"),
    ],
)
def test_what_became_of_the_child(
    code: int, complaint: str, status: int, told: str, tmp_path: Path
) -> None:
    """Each end of the process that registers has its status; no path of ours, and no trace, is in
    the answer.
    """
    upload = open_upload(tmp_path)
    upload.files["reference"] = upload.folder / "reference"
    found = child._problem(upload, Ended(code, b"", complaint.format(upload.folder)), 1 << 32)
    upload.close()
    assert (found.status, told in found.detail) == (status, True), found.detail
    assert str(tmp_path) not in found.detail
    assert "secret" not in found.detail


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """The folder of an upload goes with the next one, if its process was killed at any moment, and
    stays as long as somebody works with it.
    """
    program = (
        "import sys, time; from pathlib import Path; "
        "from driftgauge.producer.registering.upload import open_upload; "
        "upload = open_upload(Path(sys.argv[1])); (upload.folder / 'body').write_text('half'); "
        "print(upload.folder, flush=True); time.sleep(100)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    (tmp_path / "uploads" / "made-this-moment").mkdir()
    open_upload(tmp_path).close()
    assert [path.name for path in (tmp_path / "uploads").iterdir() if path.is_dir()] == [
        folder.name
    ]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    open_upload(tmp_path).close()
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == ["lock"]
