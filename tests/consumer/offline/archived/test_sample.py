"""Archived rows are read as they stood in the log, and of too many some are chosen."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.offline.archived import sample
from driftgauge.consumer.offline.archived.sample import Sample, read_sample, rows_of, rows_taken
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.events import Label, Prediction
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.shared.archive.making import DAY_MS, MODEL, NOON, write

SCHEMA = Schema(
    (
        Feature("x", "numeric", nullable=True),
        Feature("Time", "categorical", nullable=True),  # a column of the archive has this name
        Feature("paid", "boolean", nullable=True),
        Feature("since", "timestamp"),
    ),
    "categorical",
    classes=("no", "yes"),
)
VERSION = PublishedVersion(
    new_manifest(MODEL, "1.0.0", "monitor"),
    SCHEMA,
    build_profile(SCHEMA, [np.ones(2), ["a", "b"], np.ones(2), np.ones(2)], ["no", "yes"]),
)
ALL = Range(MODEL, version="1.0.0")


def predicted(place: int, **more: object) -> Prediction:
    given = {
        "id": f"id{place}",
        "version": "1.0.0",
        "time": NOON + place,
        "features": [place + 0.5, "a", 1.0, float(NOON - place)],
        "prediction": "yes",
        "probabilities": [0.25, 0.75],
    }
    return Prediction(**(given | more))  # type: ignore[arg-type]


def read(store: FolderStore, version: PublishedVersion = VERSION) -> Sample:
    return read_sample(store, version, ALL, rows_of(store, version, ALL))


def test_rows_are_read_as_they_stood_in_the_log(tmp_path: Path) -> None:
    """Values of each kind, missing ones too, each with its last label; those of batches only where
    the version counts them, shadow ones never.
    """
    store = FolderStore(tmp_path)
    rows = [
        predicted(0),
        predicted(1, features=[None, None, None, float(NOON)], prediction="no"),
        predicted(2, probabilities=None),
        predicted(3, source="batch"),
        predicted(4, source="shadow"),
    ]
    labels = [Label("id0", "no", NOON), Label("id0", "yes", NOON), Label("id3", "no", NOON)]
    write(store, 0, rows, labels, schema=SCHEMA)
    found = read(store)
    assert found.times.tolist() == [NOON, NOON + 1, NOON + 2]
    x, text, paid, since = found.columns
    np.testing.assert_array_equal(np.asarray(x), [0.5, np.nan, 2.5])
    assert text == ["a", None, "a"]
    np.testing.assert_array_equal(np.asarray(paid), [1.0, np.nan, 1.0])
    assert np.asarray(since).tolist() == [NOON, NOON, NOON - 2]
    assert (found.predictions, found.labels) == (["yes", "no", "yes"], ["yes", None, None])
    assert found.probabilities is not None
    np.testing.assert_array_equal(found.probabilities[1:], [[0.25, 0.75], [np.nan, np.nan]])
    counting = msgspec.structs.replace(VERSION.manifest, batch_counts=True)
    assert read(store, msgspec.structs.replace(VERSION, manifest=counting)).read == 4


def test_the_chosen_rows_do_not_depend_on_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the rows are cut into files, the same are chosen, about as many as are taken: of
    3,000 and a share of a third, 1,000 within four standard deviations (p < 1e-4).
    """
    monkeypatch.setattr(sample, "MOST_VALUES", 5000)
    assert rows_taken(VERSION) == 1000
    rows = [predicted(place) for place in range(3000)]
    one, many = FolderStore(tmp_path / "one"), FolderStore(tmp_path / "many")
    write(one, 0, rows, schema=SCHEMA)
    for start in range(0, 3000, 700):
        write(many, start, rows[start : start + 700], schema=SCHEMA)
    found, again = read(one), read(many)
    assert found.rows == again.rows == 3000
    assert sorted(found.times.tolist()) == sorted(again.times.tolist())
    assert abs(found.read - 1000) < 4 * (3000 * 2 / 9) ** 0.5


def test_where_no_row_is_it_says_what_there_is(tmp_path: Path) -> None:
    """Rows of other versions, other days, rows that do not count, or nothing."""
    store = FolderStore(tmp_path)

    def error(wanted: Range) -> str:
        with pytest.raises(BadData) as raised:
            rows_of(store, VERSION, wanted)
        return str(raised.value)

    assert error(ALL) == (
        f"{tmp_path} has no predictions of plant 1.0.0 from the beginning to now that count for "
        f"drift; it has none of the model."
    )
    write(store, 0, [predicted(0, source="batch")], schema=SCHEMA)
    assert "those of batches do not" in error(ALL)
    later = Range(MODEL, NOON + DAY_MS, version="1.0.0")
    assert "from 2025-11-21 12:00:00 UTC to now" in error(later)
    assert "its days go from 2025-11-20 to 2025-11-20" in error(later)
    assert "it has those of 1.0.0: choose one with --version" in error(
        Range(MODEL, version="2.0.0")
    )
