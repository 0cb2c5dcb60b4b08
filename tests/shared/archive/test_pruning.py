"""Files are written anew whole: who does so meanwhile loses no rows, and keeps none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from driftgauge.shared.archive import pruning
from driftgauge.shared.archive.erasing import Wanted, erase
from driftgauge.shared.archive.pruning import prune
from driftgauge.shared.archive.scan import Range, scan
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.archive.upkeep.tending import tend
from driftgauge.shared.archive.verifying import verify
from driftgauge.shared.errors import BadData
from tests.shared.archive.making import DAY_MS, MODEL, NOON, prediction, write

LATER = NOON + 10 * DAY_MS


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """Archive eight predictions, whose entries are 1-0 to 8-0."""
    made = FolderStore(tmp_path)
    write(made, 0, [prediction(place) for place in range(8)])
    return made


def ids(store: FolderStore) -> list[Any]:
    batches = scan(store, "predictions", Range(MODEL), pytest.fail)
    return sorted(one for batch in batches for one in batch.column("id").to_pylist())


def faults(store: FolderStore) -> list[Any]:
    return [one for one in verify(store, MODEL) if one.fault]


def erased(store: FolderStore, name: str) -> int:
    return sum(erase(store, MODEL, Wanted([name]), "why", "ids", lambda _: None).values())


def once_after(monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: Callable[[], object]) -> None:
    """Let something happen after the first call of a function of the module."""
    called = getattr(pruning, name)

    def after(*given: Any) -> Any:
        monkeypatch.setattr(pruning, name, called)
        found = called(*given)
        meanwhile()
        return found

    monkeypatch.setattr(pruning, name, after)


@pytest.mark.parametrize("instant", ["read_file", "add_file"])
def test_rows_that_come_again_are_archived_whatever_is_erased_meanwhile(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    """An erasure writes the file anew that is being pruned: the rows behind the entry are gone all
    the same, and those that come again are taken.
    """

    def erasing() -> None:
        try:
            erased(store, "id1")
        except BadData:  # it saw a file that no manifest named yet
            assert instant == "add_file"

    once_after(monkeypatch, instant, erasing)
    prune(store, MODEL, 0, "3-0", lambda: None)
    write(store, 3, [prediction(place) for place in range(100, 107)])
    assert ids(store) == sorted(["id0", "id2", *(f"id{place}" for place in range(100, 107))])
    assert not faults(store)


@pytest.mark.parametrize("instant", ["read_file", "add_file"])
def test_two_erasures_of_the_same_file(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    """Both rows are gone, each counted once, and no file is left that no manifest names."""
    gone: list[int] = []

    def other() -> None:
        try:
            gone.append(erased(store, "id5"))
        except BadData:  # it saw the file of the first one, so it has to be run again
            gone.append(1)

    once_after(monkeypatch, instant, other)
    gone.append(erased(store, "id1"))
    assert gone == [1, 1]
    assert not erased(store, "id5")
    assert ids(store) == ["id0", "id2", "id3", "id4", "id6", "id7"]
    assert not faults(store)


def test_what_a_killed_process_wrote_anew_is_not_taken_for_other_rows(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of an erasure that was killed before its manifest has the name that the next one
    would take: it has other rows, and stays apart.
    """

    def killed() -> None:
        raise KeyboardInterrupt

    once_after(monkeypatch, "add_file", killed)
    with pytest.raises(KeyboardInterrupt):
        erased(store, "id1")
    with pytest.raises(BadData, match="is in no manifest"):  # it holds the row too
        erased(store, "id5")
    assert ids(store) == ["id0", "id1", "id2", "id3", "id4", "id6", "id7"]


def test_a_cut_without_rows_behind_an_entry_is_shortened(store: FolderStore) -> None:
    """A file goes up to the end of its cut, which can lie behind its last row: what comes again
    there is taken too.
    """
    write(store, 8, [prediction(8)], refused=[])
    assert prune(store, MODEL, 0, "8-0", lambda: None) == 1
    write(store, 8, [prediction(9), prediction(10)])
    assert ids(store) == sorted(f"id{place}" for place in (*range(8), 9, 10))


@pytest.mark.parametrize("instant", ["read_file", "add_file"])
def test_an_erasure_while_files_are_joined(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    """The files are gone when they are read: the row is erased from that which they became."""
    for cut in range(1, 4):
        write(store, 8 * cut, [prediction(8 * cut + place) for place in range(8)])
    before = ids(store)
    joined: list[Any] = []
    once_after(
        monkeypatch,
        instant,
        lambda: joined.append(tend(store, MODEL, LATER, 1e15, 0, lambda: None)),
    )
    assert erased(store, "id9") == 1
    assert joined
    assert ids(store) == [one for one in before if one != "id9"]
    assert not faults(store)
