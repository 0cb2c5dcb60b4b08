"""The files of an archive are opened by the tools that docs/archive.md names, without us."""

import os
from pathlib import Path

import pytest

from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from tests.shared.archive.making import DAY_MS, MODEL, NOON, prediction, write

if not os.environ.get("CI"):
    pytest.importorskip("duckdb", reason="no duckdb: pip install -e '.[query]'")
LATER = Schema((Feature("x", "numeric"), Feature("new", "numeric")), "numeric")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Archive two versions, one of which lacks a feature, on two days."""
    store = FolderStore(tmp_path)
    write(store, 0, [prediction(day, NOON + day * DAY_MS) for day in range(2)])
    write(store, 10, [prediction(9, version="2.0.0", features=[1.0, 3.0])], schema=LATER)
    return tmp_path / "predictions"


def test_pandas_reads_a_model(folder: Path) -> None:
    """The date of a row is the name of its folder."""
    import pandas as pd

    frame = pd.read_parquet(folder / f"model={MODEL}")
    assert sorted(frame["id"]) == ["id0", "id1", "id9"]
    assert set(frame["date"].astype(str)) == {"2025-11-20", "2025-11-21"}
    assert frame["version"].dtype == "category"


def test_duckdb_reads_all_models(folder: Path) -> None:
    """Versions with other features come together by the names of their columns."""
    import duckdb

    files = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true, union_by_name = true)"
    with duckdb.connect() as base:
        found = base.execute(f"SELECT id, model, new FROM {files} ORDER BY id").fetchall()  # noqa: S608  ours
    assert found == [("id0", MODEL, None), ("id1", MODEL, None), ("id9", MODEL, 3.0)]


def test_polars_reads_a_version(folder: Path) -> None:
    """It is lazy, and knows the folders' names as columns."""
    import polars as pl

    frame = pl.scan_parquet(f"{folder}/**/1.0.0-*.parquet", hive_partitioning=True)
    assert sorted(frame.collect()["id"]) == ["id0", "id1"]
