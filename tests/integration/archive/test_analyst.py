"""What an analyst does with yesterday's predictions, by commands of processes of their own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import duckdb
import httpx
import numpy as np
import pandas as pd
import polars as pl
import pytest

from driftgauge.client import Monitor
from driftgauge.shared.local.processes import reserved_port
from tests.consumer.slicing.making import frame
from tests.fork_server import FORKS
from tests.integration.plant import wait_for

pytestmark = pytest.mark.long

NAME = "loans"
ROWS = 6000
PATIENCE_S = 300
DAY_S = 86_400


class Desk:
    """A folder, the deployment that runs in it, and the rows that it was sent."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        with reserved_port(19_750, "127.0.0.1") as port:  # `driftgauge up` reserves it itself
            self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith("DRIFTGAUGE_")
        } | {
            "DRIFTGAUGE_PORT": str(port),
            "DRIFTGAUGE_ARCHIVE_URL": str(folder / "archive"),
            "DRIFTGAUGE_ARCHIVE_SECONDS": "0.5",
        }
        self._register()
        with (folder / "up.log").open("wb") as log:
            up = FORKS.popen(self._command("up"), log, log, self._environment, folder)
        stack.callback(up.wait, PATIENCE_S)
        stack.callback(up.terminate)
        wait_for(self._answers, "the API", PATIENCE_S)
        self.rows = self._rows_of_yesterday()
        self._send()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "driftgauge", *arguments]

    def type(self, *arguments: str, code: int = 0) -> str:
        """Run a command, and return what it printed."""
        done = self._done(*arguments)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout

    def _done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return FORKS.run(self._command(*arguments), self._environment, self._folder, PATIENCE_S)

    def path(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return str(self._folder / name)

    def _register(self) -> None:
        frame(5000, 1, planted=False).to_csv(self._folder / "reference.csv", index=False)
        self.type(
            *("models", "register", NAME, "--reference", "reference.csv", "--task", "binary"),
            *("--prediction-column", "prediction", "--target-column", "label"),
            *("--labels", "--promote"),
        )

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").is_success
        except httpx.TransportError:
            return False

    def _rows_of_yesterday(self) -> pd.DataFrame:
        rows = frame(ROWS, 2)
        rows["id"] = [f"loan-{place}" for place in range(ROWS)]
        begin = time.time() - DAY_S + 3600
        rows["at"] = ((begin + np.linspace(0, 7200, ROWS)) * 1000).astype(np.int64)
        return rows

    def _send(self) -> None:
        inputs = ["age", "region", "load", "paid"]
        with Monitor(self.url, NAME) as monitor:
            monitor.log_frame(self.rows, "prediction", id="id", time="at", features=inputs)
            monitor.label_frame(self.rows, "id", "label")
        asked = "SELECT count(*) AS n FROM joined WHERE label IS NOT NULL"
        wait_for(
            lambda: str(ROWS) in self._done("query", asked, "--csv").stdout,
            "the archive",
            PATIENCE_S,
            1,
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(tmp_path_factory.mktemp("desk"), stack)


def test_the_worst_slice_of_yesterday_is_found_and_held_against_the_rest(desk: Desk) -> None:
    """The search names the planted slice, its condition compared alone gives the accuracy that
    pandas computes of the rows, and that chosen slices carry no promise.
    """
    found = desk.type("slice", NAME, "--worst", "3", "--since", "1d", code=1)
    first = next(line for line in found.splitlines() if "worse" in line)
    assert """"region" = 'north'""" in first
    assert re.search(r'"age" <= 3\d(\.\d)? ', first)
    said = desk.type("slice", NAME, "region = 'north' and age < 35", "--since", "1d", code=1)
    inside = desk.rows[(desk.rows.region == "north") & (desk.rows.age < 35)]
    accuracy = (inside.prediction == inside.label).mean()
    assert f"{accuracy:.3g}" in said
    assert "promise" in said


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_what_is_exported_is_what_was_sent(desk: Desk, form: str) -> None:
    """pandas, polars and DuckDB open it, and find each prediction once, with its label."""
    path = desk.path(f"loans.{form}")
    desk.type("export", NAME, "--since", "1d", "--format", form, "--output", path)
    by_pandas = {
        "csv": pd.read_csv,
        "jsonl": lambda one: pd.read_json(one, lines=True),
        "parquet": pd.read_parquet,
    }[form](path)
    by_polars = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet}[form](
        path
    )
    texts = {"prediction": "VARCHAR", "label": "VARCHAR"}  # it would take yes and no as booleans
    by_duckdb = (
        duckdb.read_csv(path, dtype=texts) if form == "csv" else duckdb.sql(f"FROM '{path}'")
    ).df()
    for found in (by_pandas, by_polars.to_pandas(), by_duckdb):
        rows = found.set_index("id").loc[desk.rows.id]
        assert len(found) == ROWS
        assert (rows.prediction.to_numpy() == desk.rows.prediction).all()
        assert (rows.label.to_numpy() == desk.rows.label).all()
        assert rows.age.to_numpy() == pytest.approx(desk.rows.age.to_numpy())
        assert (rows.region.to_numpy() == desk.rows.region).all()


def test_a_question_of_ones_own_is_answered(desk: Desk) -> None:
    """SQL over predictions and labels gives what pandas gives."""
    asked = (
        "SELECT region, avg((prediction = label)::int) AS right_share FROM joined "
        "GROUP BY region ORDER BY region"
    )
    path = desk.path("answer.parquet")
    desk.type("query", asked, "--parquet", path)
    right = (desk.rows.prediction == desk.rows.label).groupby(desk.rows.region).mean()
    found = pd.read_parquet(path).set_index("region").right_share
    assert found.to_dict() == pytest.approx(right.to_dict())
