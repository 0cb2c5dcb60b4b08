"""Predictions leave the archive with their labels, in three forms, and run nothing."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftgauge.shared.archive import joining, writing
from driftgauge.shared.archive.exporting import FORMS, Form, export
from driftgauge.shared.archive.joining import joined
from driftgauge.shared.archive.rows import Rows
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.events import Label
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from tests.hostile import FORMULA, TAB_FORMULA
from tests.shared.archive.making import DAY_MS, MODEL, NOON, SCHEMA, prediction, write


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def fail(said: str) -> None:
    raise AssertionError(said)


def written(store: FolderStore, form: Form, **more: Any) -> bytes:
    out = io.BytesIO()
    export(joined(store, Range(MODEL, **more), fail), form, out)
    return out.getvalue()


def test_the_last_label_of_the_log_counts(store: FolderStore) -> None:
    """A correction replaces the label before, whatever its own time says, and in whichever file it
    is; a prediction without a label has none.
    """
    write(store, 0, [prediction(place) for place in range(4)], [Label("id1", 1.0, NOON + 5)])
    write(store, 10, [], [Label("id1", 2.0, NOON + 1), Label("id2", 3.0, NOON + 40 * DAY_MS)])
    write(store, 20, [], [Label("other", 9.0, NOON)])
    rows = [json.loads(line) for line in written(store, "jsonl").splitlines()]
    assert [row["label"] for row in rows] == [None, 2.0, 3.0, None]
    assert rows[1]["label_time"] == "2025-11-20T12:00:00.001000Z"


@pytest.mark.parametrize("form", FORMS)
def test_all_of_a_range_is_written(store: FolderStore, form: Form) -> None:
    """Each form has every row of the range once, with all columns."""
    write(store, 0, [prediction(place, NOON + place) for place in range(100)])
    text = written(store, form, since=NOON + 10, until=NOON + 90)
    if form == "parquet":
        rows = pq.read_table(pa.BufferReader(text)).to_pylist()
    elif form == "csv":
        rows = list(csv.DictReader(io.StringIO(text.decode())))
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    assert [row["id"] for row in rows] == [f"id{place}" for place in range(10, 90)]
    assert [float(row["x"]) for row in rows] == list(range(10, 90))
    assert {row["city"] for row in rows} == {"north"}
    assert str(rows[0]["time"])[:19].replace("T", " ") == "2025-11-20 12:00:00"


def test_a_table_runs_nothing_in_a_spreadsheet(store: FolderStore) -> None:
    """Hostile ids, categories, classes, labels and names of features begin with a quote; numbers
    keep their minus.
    """
    schema = Schema(
        (Feature("=x", "numeric"), Feature("city", "categorical")),
        "categorical",
        classes=(FORMULA, "b"),
    )
    hostile = prediction(
        0,
        id=TAB_FORMULA,
        features=[-1.5, FORMULA],
        prediction=FORMULA,
        probabilities=[0.5, 0.5],
    )
    write(store, 0, [hostile], [Label(TAB_FORMULA, FORMULA, NOON)], schema=schema)
    (row,) = csv.DictReader(io.StringIO(written(store, "csv").decode()))
    assert row["'=x"] == "-1.5"
    assert row["probabilities"] == "[0.5,0.5]"
    for name in ("id", "city", "prediction", "label"):
        assert row[name].startswith("'"), name


def test_an_empty_range_has_no_rows(store: FolderStore) -> None:
    """A file of each form has the columns, where the form has any, and can be opened."""
    write(store, 0, [prediction(1)])
    found = {form: written(store, form, since=NOON + DAY_MS) for form in FORMS}
    assert found["csv"].startswith(b'"id","version","time"')
    assert len(found["csv"].splitlines()) == 1
    assert found["jsonl"] == b""
    table = pq.read_table(pa.BufferReader(found["parquet"]))
    assert (table.num_rows, table.column_names[-2:]) == (0, ["label", "label_time"])


def test_what_waits_to_be_archived_is_joined_as_well(store: FolderStore) -> None:
    """Rows behind the ends are taken from there alone, with labels of both sides, whatever files
    they are in by now; a new version brings its columns.
    """
    write(store, 0, [prediction(place) for place in range(4)], [Label("id0", 1.0, NOON)])
    write(store, 10, [prediction(9, id="later")], [Label("id1", 8.0, NOON)])
    other = Schema((Feature("y", "numeric"),), "categorical")
    rows = Rows(0)
    rows.add_predictions(SCHEMA, [prediction(9, id="later")], np.array([11]), np.array([0]))
    new = prediction(5, version="2.0.0", features=[7.5], prediction="yes")
    rows.add_predictions(other, [new], np.array([12]), np.array([0]))
    labels = [Label("id0", 2.0, NOON), Label("id5", 3.0, NOON)]
    rows.add_labels(labels, np.array([13, 14]), np.array([0, 0]))
    out = io.BytesIO()
    wanted = Range(MODEL, ends={0: EntryId(3, 0)})
    export(joined(store, wanted, fail, rows.groups()), "jsonl", out)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(row["id"], row["label"]) for row in found] == [
        ("id0", 2.0),
        ("id1", None),
        ("id2", None),
        ("later", None),
        ("id5", 3.0),
    ]
    assert [row["y"] for row in found] == [None] * 4 + [7.5]
    assert found[-1]["prediction"] == "yes"
    out = io.BytesIO()
    rows.add_labels([Label("id0", "yes", NOON)], np.array([15]), np.array([0]))
    filtered = Range(MODEL, ends={0: EntryId(3, 0)}, version="2.0.0")
    export(joined(store, filtered, fail, rows.groups()), "jsonl", out)
    assert [json.loads(line)["label"] for line in out.getvalue().splitlines()] == ["3.0"]


def test_labels_of_other_ids_are_not_read(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ids are in the order of time, an hour of a year costs an hour's labels."""
    monkeypatch.setattr(writing, "ROW_GROUP", 10)
    for day in range(3):
        events = [prediction(0, NOON + day * DAY_MS, id=f"d{day}{at:03}") for at in range(100)]
        labels = [Label(one.id, 1.0, one.time) for one in events]
        write(store, day * 1000, events, labels)
    read: list[int] = []
    add = joining._Labels.add

    def counted(self: Any, batch: Any) -> None:
        read.append(batch.num_rows)
        add(self, batch)

    monkeypatch.setattr(joining._Labels, "add", counted)
    text = written(store, "csv", ids=("d1050",))
    assert text.count(b"\n") == 2
    assert b",1," in text.splitlines()[1]
    assert sum(read) == 10
