"""A new reference is made of archived rows of any time."""

from pathlib import Path

import numpy as np
import pytest

from driftgauge.consumer.offline.archived.accepting import propose_archived
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.errors import BadData
from tests.consumer.builders import NOON, payload_of
from tests.consumer.offline.archived.test_panes import MODEL, archived, dense, version


def test_a_reference_of_archived_rows_counts_these_rows(tmp_path: Path) -> None:
    """Each cell has the online rows of the range that are in it; too few rows are refused."""
    made, entries = version(), dense(3000, 1900)
    store, told = FolderStore(tmp_path), list[str]()
    archived(store, entries, made)
    wanted = Range(MODEL, since=NOON + 1900 * 1000)
    found = propose_archived(store, made, wanted, 500, told.append)
    assert not told
    events = [payload_of(entry) for entry in entries]
    first = next(place for place, one in enumerate(events) if one["time"] >= wanted.since)  # type: ignore[operator]  # a number
    rows = [one for one in events[first:] if one.get("source") != "shadow"]
    assert found.profile.rows == len(rows)
    values = [*zip(*(one["features"] for one in rows), strict=True)]  # type: ignore[arg-type]  # a list
    values.append(tuple(one["prediction"] for one in rows))
    for column, known, given in zip(
        found.profile.columns, made.reference.columns, values, strict=True
    ):
        numeric = known.kind == "numeric"
        cells = known.cells(np.array(given, float) if numeric else list(given))
        assert column.counts == np.bincount(cells, minlength=len(known.counts)).tolist()
    with pytest.raises(BadData, match="a reference needs 5,000"):
        propose_archived(store, made, wanted, 5000, told.append)
