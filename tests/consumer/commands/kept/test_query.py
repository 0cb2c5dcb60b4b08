"""`driftgauge query`, as a person calls it."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from driftgauge.consumer.commands.kept.query import query
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.errors import BadData, ConfigurationError, ModelNotFound
from tests.hostile import FORMULA
from tests.shared.archive.making import MODEL, prediction, write

if not os.environ.get("CI"):
    pytest.importorskip("duckdb", reason="no duckdb: pip install -e '.[query]'")
ROWS = "SELECT id, x, time, [1, 2] AS list FROM predictions ORDER BY x"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    """Archive 150 predictions, one with a hostile id."""
    monkeypatch.setenv("DRIFTGAUGE_ARCHIVE_URL", str(tmp_path / "archive"))
    made = FolderStore(tmp_path / "archive")
    write(made, 0, [prediction(0, id=FORMULA), *map(prediction, range(1, 150))])
    return made


def run(*given: str) -> Result:
    return CliRunner().invoke(query, given)


def test_a_result_has_four_forms(tmp_path: Path) -> None:
    """A table of the first rows; all rows as CSV that runs nothing, as JSON and as Parquet."""
    table = run(ROWS)
    assert table.exit_code == 0
    assert len(table.stdout.splitlines()) == 101
    assert "The first 100 rows" in table.stderr
    lines = run(ROWS, "--csv").stdout.splitlines()
    assert len(lines) == 151
    assert lines[1].startswith("\"'=HYPERLINK")
    assert lines[2] == '"id1",1,"2025-11-20 12:00:00.000000Z","[1,2]"'
    found = [json.loads(line) for line in run(ROWS, "--json").stdout.splitlines()]
    assert found[1] == {"id": "id1", "x": 1.0, "time": "2025-11-20T12:00:00Z", "list": [1, 2]}
    assert run(ROWS, "--parquet", str(tmp_path / "out.parquet")).stderr == "150 rows.\n"
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 150


def test_what_cannot_be_done_is_said() -> None:
    """A fault of the SQL, two forms at once, a model that is not there."""
    assert isinstance(run("SELECT").exception, BadData)
    assert isinstance(run(ROWS, "--csv", "--json").exception, ConfigurationError)
    assert isinstance(run(ROWS, "--model", "nobody").exception, ModelNotFound)
    assert run(ROWS, "--model", MODEL).exit_code == 0
