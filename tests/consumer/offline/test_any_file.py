"""A version registered from a file of any format is the same version, and a later file of any
format is the same log.
"""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftgauge.consumer.offline.backtesting import FileRows, log_of
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.producer.commands import replaying
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.tables.pace import START_MS
from driftgauge.shared.tables.reading import read_table
from driftgauge.shared.versions.manifest import PublishedVersion

FORMS = ("csv", "semicolons", "gz", "json_lines", "parquet")
ROWS = 1500


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Numbers with missing ones, codes with zeros, booleans, times, and predictions."""
    random = np.random.default_rng(5)
    amount = pd.Series(np.round(random.gamma(2, 500, ROWS), 2))
    return pd.DataFrame(
        {
            "amount": amount.mask(random.random(ROWS) < 0.05),
            "site": random.choice(["007", "010", "102", None], ROWS),
            "open": random.choice([True, False], ROWS),
            "made": np.round(random.normal(size=ROWS), 4),
            "when": pd.date_range("2025-03-01", periods=ROWS, freq="h").strftime("%Y-%m-%dT%H:%MZ"),
        }
    )


def write(frame: pd.DataFrame, form: str, path: Path) -> Path:
    if form == "parquet":
        frame.to_parquet(path)
    elif form == "json_lines":
        frame.to_json(path, orient="records", lines=True, double_precision=15)
    elif form == "gz":
        path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    else:
        semicolons = form == "semicolons"
        frame.to_csv(
            path, index=False, sep=";" if semicolons else ",", decimal="," if semicolons else "."
        )
    return path


def registered(folder: Path, path: Path, time: str | None) -> PublishedVersion:
    registry = ModelRegistry(folder / "registry")
    _, published = register_version(
        registry, Submission("plant", path, prediction_column="made", time_column=time)
    )
    return published


@pytest.mark.parametrize("form", FORMS)
def test_the_same_version_and_the_same_log(form: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    """Kinds, marks and every count of the reference are those of the plain CSV file, and so are the
    entries of a later file, by whichever of the two versions it is read.
    """
    plain = registered(tmp_path / "a", write(frame, "csv", tmp_path / "a.csv"), "when")
    path = write(frame, form, tmp_path / "rows")
    other = registered(tmp_path / "b", path, "when")
    assert [(one.name, one.kind, one.nullable) for one in other.schema.features] == [
        (one.name, one.kind, one.nullable) for one in plain.schema.features
    ]
    assert other.reference == plain.reference
    expected = log_of(plain, FileRows(tmp_path / "a.csv", "when", "made"), 1000.0)
    found = log_of(other, FileRows(path, "when", "made"), 1000.0)
    assert found.entries == expected.entries


def test_rows_without_times_have_the_same_times_everywhere(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    """What `replay` posts and what `backtest --data` judges have the same times, row for row."""
    path = write(frame.drop(columns="when"), "csv", tmp_path / "rows.csv")
    version = registered(tmp_path, path, None)
    columns = replaying.Columns("made")
    rows = read_table(path, version.schema.table, version.schema.kinds_of(columns.names))
    plan = replaying.plan(rows, version.schema, "plant", columns, "events", None)
    replaying.pace(plan.requests, 1000.0, START_MS)
    log = log_of(version, FileRows(path, None, "made"), 1000.0)
    assert [request["time"] for request in plan.requests] == [
        int(entry_id.split(b"-")[0]) for entry_id, _ in log.entries
    ]
