"""POST /columns: the table of a registration, without one."""

import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from driftgauge.consumer.offline.reference_table import Recognised
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.producer.app import create_app
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.reference.columns.choices import Choices
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running, serving
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio


def rows() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "code": [f"{number:03d}" for number in random.integers(0, 40, 300)],
            "load": random.normal(50, 10, 300).round(2),
            "token": [f"t{number}" for number in range(300)],
            "email": [f"a{number % 20}@b.c" for number in range(300)],
            "y": random.normal(size=300),
        }
    )


def bodies() -> dict[str, bytes]:
    frame = rows()
    sink = io.BytesIO()
    frame.to_parquet(sink)
    return {
        "csv": frame.to_csv(index=False).encode(),
        "jsonl": frame.to_json(orient="records", lines=True).encode(),
        "parquet": sink.getvalue(),
    }


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
async def test_it_answers_as_a_registration_tells(
    settings: Settings, tmp_path: Path, form: str
) -> None:
    """Of a table in any format, line by line what `models register --json` prints, by the same
    options; nothing is registered, and nothing stays on disk.
    """
    body, told = bodies()[form], list[Recognised]()
    path = tmp_path / f"rows.{form}"
    path.write_bytes(body)
    register_version(
        ModelRegistry(tmp_path / "elsewhere"),
        Submission("m", path, target_column="y", choices=Choices(types={"token": "categorical"})),
        told.append,
    )
    async with serving(settings) as http:
        before = (await http.get("/models")).json()
        answer = await http.post("/columns?target_column=y&type=token=categorical", content=body)
        assert answer.status_code == 200, answer.text
        assert (await http.get("/models")).json() == before
    found = answer.json()
    expected: Any = msgspec.to_builtins(told[0].rows)
    assert found["rows"] == 300
    assert found["columns"] == [{**row, "warnings": [*row["warnings"]]} for row in expected]
    assert found["remarks"] == [one.replace(str(path), "The body") for one in told[0].remarks]
    assert found["columns"][0]["kind"] == "categorical"
    assert "@" not in answer.text, "values of personal columns stay where they are"
    assert not list(settings.data_dir.glob("columns-*"))


async def test_what_cannot_be_read_is_said_without_a_path(settings: Settings) -> None:
    """A torn table, a column that is not there, an option that is none: what is wrong, and no name
    of a file of ours.
    """
    async with serving(settings) as http:
        for query, body in (
            ("", b"x,y\n1,2,3\n"),
            ("?target_column=z", b"x,y\n1,2\n"),
            ("?type=x=nothing", b"x,y\n1,2\n"),
            ("?time_unit=h", b"x,y\n1,2\n"),
            ("?decimals=,", b"x,y\n1,2\n"),
            ("", b""),
        ):
            told = problem(await http.post(f"/columns{query}", content=body), 422)
            assert str(settings.data_dir) not in told["detail"]


async def test_it_needs_an_admin(settings: Settings) -> None:
    """Reading a table costs the API seconds: a key that may predict may not ask for it."""
    keys = {
        scope: create_key(settings.keys_path, scope, (scope,), None)
        for scope in ("admin", "predict")
    }
    async with running(create_app(settings)) as http:
        for scope, status in (("admin", 200), ("predict", 403)):
            headers = {"Authorization": f"Bearer {keys[scope]}"}
            answer = await http.post("/columns", content=b"x,y\n1,2\n", headers=headers)
            assert answer.status_code == status
