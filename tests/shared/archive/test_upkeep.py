"""Days that are over are kept in few files, and go when they are too old. Readers go on."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from driftgauge.shared.archive.erasing import Wanted, erase
from driftgauge.shared.archive.manifest import KINDS
from driftgauge.shared.archive.pruning import days
from driftgauge.shared.archive.scan import Range, scan
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.archive.upkeep import tending
from driftgauge.shared.archive.upkeep.tending import GRACE_MS, tend
from driftgauge.shared.archive.verifying import verify
from driftgauge.shared.contract.events import Label
from tests.shared.archive.making import DAY_MS, MODEL, NOON, prediction, write

LATER = NOON + 10 * DAY_MS


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """Archive three cuts on each of three days."""
    made = FolderStore(tmp_path)
    for cut in range(9):
        time_ms = NOON + cut // 3 * DAY_MS
        rows = [prediction(10 * cut + place, time_ms) for place in range(10)]
        write(made, 20 * cut, rows, [Label(f"id{10 * cut}", 1.0, time_ms)])
    return made


def round_of(store: FolderStore, now_ms: int, waiting_ms: float = 1e15, keep_days: int = 0) -> int:
    return sum(tend(store, MODEL, now_ms, waiting_ms, keep_days, lambda: None))


def ids(store: FolderStore) -> list[Any]:
    batches = scan(store, "predictions", Range(MODEL), pytest.fail)
    return sorted(one for batch in batches for one in batch.column("id").to_pylist())


def files(folder: Path) -> int:
    return len(list(folder.rglob("*.parquet")))


def retired(folder: Path) -> int:
    return len(list(folder.rglob("*.retired")))


def faults(store: FolderStore) -> list[Any]:
    return [one for one in verify(store, MODEL) if one.fault]


def test_days_that_are_over_become_one_file_each(store: FolderStore, tmp_path: Path) -> None:
    """The small files stay for those that read them, under names that other tools leave out, and
    go an hour later.
    """
    before = ids(store)
    reading = scan(store, "predictions", Range(MODEL), pytest.fail)
    first = next(reading)
    assert round_of(store, LATER) == 0
    assert ids(store) == before
    assert first.num_rows + sum(batch.num_rows for batch in reading) == len(before)
    assert (files(tmp_path), retired(tmp_path), faults(store)) == (6, 18, [])
    rows = pd.read_parquet(tmp_path / f"predictions/model={MODEL}")
    assert sorted(rows["id"]) == before
    round_of(store, LATER + GRACE_MS + 1)
    assert (files(tmp_path), retired(tmp_path), faults(store)) == (6, 0, [])
    assert ids(store) == before


def test_days_that_are_too_old_go_whole(store: FolderStore, tmp_path: Path) -> None:
    """Both kinds, from the manifest at once and from the disk later; their number stays."""
    now = NOON + 3 * DAY_MS
    assert round_of(store, now, keep_days=2) == 2
    assert ids(store) == sorted(f"id{place}" for place in range(30, 90))
    assert round_of(store, now, keep_days=2) == 0
    stray = tmp_path / f"predictions/model={MODEL}/date=2025-11-20/left-by-a-kill.parquet"
    stray.write_bytes(b"PAR1")
    round_of(store, now + GRACE_MS + 1, keep_days=9)
    assert (files(tmp_path), retired(tmp_path), faults(store)) == (4, 0, [])
    gone = next(days(store, MODEL, "predictions")).manifest
    assert gone.expired is not None
    assert (gone.files, gone.retired, gone.expired.rows) == ((), (), 30)


def test_a_day_of_which_rows_wait_stays_as_it_is(store: FolderStore) -> None:
    """It is neither removed nor joined, nor is any later one."""
    assert round_of(store, LATER, waiting_ms=NOON + DAY_MS, keep_days=1) == 2
    (first, second, third) = (day.manifest for day in days(store, MODEL, "predictions"))
    assert first.files == ()
    assert (len(second.files), len(third.files)) == (3, 3)


@pytest.mark.parametrize("call", range(1, 12))
def test_a_round_that_is_killed_is_done_by_the_next(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Before any change of a manifest or removal of a file: no row is lost or twice."""
    calls = 0

    def killed(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt

    for name in ("change", "remove", "create"):
        real = getattr(FolderStore, name)

        def wrapped(*given: Any, real: Any = real) -> Any:
            killed()
            return real(*given)

        monkeypatch.setattr(FolderStore, name, wrapped)
    for moment in (LATER, LATER + DAY_MS):
        try:
            round_of(store, moment, keep_days=9)
        except KeyboardInterrupt:
            round_of(store, moment, keep_days=9)
    round_of(store, LATER + 2 * DAY_MS, keep_days=11)
    assert ids(store) == sorted(f"id{place}" for place in range(60, 90))
    assert (files(tmp_path), faults(store)) == (2, [])


def test_files_that_a_killed_round_left_are_out_of_sight_in_the_next(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the manifest and their new names they are readable to other tools: not for long."""

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "retire", killed)
        with pytest.raises(KeyboardInterrupt):
            round_of(store, LATER)
    assert files(tmp_path) == 18 + 1
    round_of(store, LATER + 1)
    assert (files(tmp_path), retired(tmp_path), faults(store)) == (6, 18, [])


def test_two_that_join_the_same_day_lose_nothing(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that slept through its lease, or `archive compact` beside it: the one that comes
    second leaves the file of the first.
    """
    before = ids(store)
    found = {kind: list(days(store, MODEL, kind)) for kind in KINDS}
    round_of(store, LATER)
    monkeypatch.setattr(tending, "days", lambda _store, _model, kind: iter(found[kind]))
    round_of(store, LATER)
    assert (ids(store), faults(store)) == (before, [])


def test_what_is_erased_is_in_no_retired_file(store: FolderStore, tmp_path: Path) -> None:
    """Files that wait to be removed hold the same rows; they go at once."""
    round_of(store, LATER)
    gone = erase(store, MODEL, Wanted(["id7"]), "asked to", "ids", lambda _: None)
    assert gone == {"predictions": 1, "labels": 0, "refused": 0, "incidents": 0}
    assert (files(tmp_path), faults(store)) == (6, [])
    assert "id7" not in ids(store)


def test_a_damaged_file_holds_up_its_own_day_alone(
    store: FolderStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named in the log; all other days are looked after."""
    damaged = min(tmp_path.rglob("predictions/**/*.parquet"))
    damaged.write_bytes(b"PAR1")
    round_of(store, LATER)
    assert str(damaged) in caplog.text
    assert [len(day.manifest.files) for day in days(store, MODEL, "predictions")] == [3, 1, 1]
