"""What is erased is in no file any more, and what is recorded of it has no value of it."""

import os
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from driftgauge.consumer.commands.kept.erase import erase
from driftgauge.shared.archive.erasures import records
from driftgauge.shared.archive.pruning import days
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.archive.verifying import verify
from driftgauge.shared.contract.events import Label
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData, ConfigurationError
from tests.consumer.notifying.messages import ALERTS, incident
from tests.shared.archive.making import (
    DAY_MS,
    MODEL,
    NOON,
    prediction,
    refused,
    write,
    write_incidents,
)

SECRET = "Zaphod-Beeblebrox"  # noqa: S105  a name


@pytest.fixture
def store(
    tmp_path: Path, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> FolderStore:
    """Archive a person among others, on two days, with labels; Redis holds nothing of the model."""
    monkeypatch.setenv("DRIFTGAUGE_ARCHIVE_URL", str(tmp_path))
    monkeypatch.setenv("DRIFTGAUGE_REDIS_URL", redis_url)
    monkeypatch.setenv("DRIFTGAUGE_KEY_PREFIX", keys.prefix)
    made = FolderStore(tmp_path)
    for day in range(2):
        rows = [prediction(10 * day + place, NOON + day * DAY_MS) for place in range(5)]
        rows.append(prediction(99, NOON + day * DAY_MS, id=f"{SECRET}{day}", features=[1, SECRET]))
        write(made, 20 * day, rows, [Label(f"{SECRET}{day}", 1.0, NOON), Label("id1", 1.0, NOON)])
        broken = f'{{"id":"{SECRET}{day}",'
        bad = [refused(3), refused(4, id=f"{SECRET}{day}"), refused(5, id=None, text=broken)]
        write(made, 20 * day + 10, refused=bad, first_ms=NOON + day * DAY_MS)
    return made


def gone(found: Result) -> dict[str, int]:
    """Return what was erased, by what held it."""
    assert found.exit_code == 0, found.output
    told = msgspec.json.decode(found.stdout, type=dict[str, int])
    return {name: number for name, number in told.items() if number}


def holds_secret(folder: Path) -> bool:
    """Look for the plain text in all of the files, rows decoded."""
    import polars as pl

    texts = [path.read_bytes() for path in folder.rglob("*.json")]
    rows = [pl.read_parquet(path).write_csv().encode() for path in folder.rglob("*.parquet")]
    names = [str(path).encode() for path in folder.rglob("*")]
    return any(SECRET.encode() in one for one in (*texts, *rows, *names))


@pytest.mark.parametrize(
    "given",
    [
        ("--id", f"{SECRET}0", "--id", f"{SECRET}1"),
        ("--where", f"city = '{SECRET}' -- a comment"),
    ],
)
def test_a_persons_rows_are_gone(
    store: FolderStore, tmp_path: Path, given: tuple[str, ...]
) -> None:
    """Predictions, labels and refused events, those too whose id nobody could read, in whichever
    files; the others stay, and the archive is sound.
    """
    if given[0] == "--where" and not os.environ.get("CI"):
        pytest.importorskip("duckdb", reason="no duckdb: pip install -e '.[query]'")
    assert holds_secret(tmp_path)
    found = CliRunner().invoke(erase, [MODEL, *given, "--reason", "asked to", "--json"])
    assert gone(found) == {"predictions": 2, "labels": 2, "refused": 4}
    assert not holds_secret(tmp_path)
    checked = list(verify(store, MODEL))
    assert not [one for one in checked if one.fault]
    assert sum(one.rows for one in checked) == 14
    (first, _) = days(store, MODEL, "predictions")
    (erasure,) = first.manifest.erasures
    assert (erasure.rows, erasure.reason) == (1, "asked to")
    again = CliRunner().invoke(erase, [MODEL, *given, "--reason", "asked to", "--json"])
    assert gone(again) == {}
    first_run, second_run = (msgspec.json.decode(one.stdout) for one in (found, again))
    assert [one.gone for one in records(store, MODEL)] == [first_run, second_run]


def test_refused_events_go_by_what_they_hold(store: FolderStore) -> None:
    """An event that was refused is no prediction, so no condition finds it: a text does, however
    JSON spells it, and incidents that name it too. An id that is a part of another text is none.
    """
    others = [
        refused(6, id=None, text='{"name": "Zo\\u00eb"'),
        refused(7, reason="Zoë is no number"),
        refused(8, id=None, text='{"id":"id10", '),
    ]
    write(store, 100, refused=others, first_ms=NOON)
    named = replace(ALERTS[0], summary="Zoë is a new category")
    write_incidents(store, [incident(alerts=[named]), incident(number=2)])
    given = [MODEL, "--text", "Zoë", "--id", "id1", "--reason", "r", "--json"]
    found = CliRunner().invoke(erase, given)
    assert gone(found) == {"predictions": 1, "labels": 2, "refused": 2, "incidents": 1}
    (first, _) = days(store, MODEL, "refused")
    assert first.manifest.erasures[0].chosen_by == "ids and texts"
    empty = CliRunner().invoke(erase, [MODEL, "--text", "", "--reason", "r"])
    assert isinstance(empty.exception, ConfigurationError)


def test_a_file_that_cannot_be_read_is_not_passed_over(store: FolderStore, tmp_path: Path) -> None:
    """It may hold such rows, so nobody is told that they are gone."""
    min(tmp_path.rglob("predictions/**/*.parquet")).write_bytes(b"PAR1")
    found = CliRunner().invoke(erase, [MODEL, "--id", "x", "--reason", "r"])
    assert isinstance(found.exception, BadData)
    assert "may hold such rows" in str(found.exception)
    neither = CliRunner().invoke(erase, [MODEL, "--reason", "r"])
    assert isinstance(neither.exception, ConfigurationError)
    assert store.where() == str(tmp_path)


def test_a_file_that_a_killed_process_left_is_looked_into(
    store: FolderStore, tmp_path: Path
) -> None:
    """It is in no manifest, so nobody reads it; but its rows are there, and that is told."""
    file = min(tmp_path.rglob("predictions/**/*.parquet"))
    left = file.with_name("left.parquet")
    left.write_bytes(file.read_bytes())
    (file.parent / ".new-x").write_bytes(b"PAR1")
    given = [MODEL, "--id", f"{SECRET}0", "--reason", "r"]
    for stranger in (file.parent / ".new-x", left):
        found = CliRunner().invoke(erase, given)
        assert isinstance(found.exception, BadData)
        assert f"{stranger} is in no manifest" in str(found.exception)
        stranger.unlink()
    assert CliRunner().invoke(erase, given).exit_code == 0
    assert [bool(one.gone) for one in records(store, MODEL)] == [False, False, True]
    assert store.where() == str(tmp_path)


def test_who_is_killed_before_a_file_is_removed_leaves_it_to_the_next(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest names what is to be removed before it is: erasing again removes it."""
    given = [MODEL, "--id", f"{SECRET}0", "--id", f"{SECRET}1", "--reason", "r", "--json"]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "remove", killed)
        assert CliRunner().invoke(erase, given).exit_code != 0
    assert holds_secret(tmp_path)
    assert CliRunner().invoke(erase, given).exit_code == 0
    assert not holds_secret(tmp_path)
    assert not [one for one in verify(store, MODEL) if one.fault]
