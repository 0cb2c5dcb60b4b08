import logging
from pathlib import Path

import pytest

from driftgauge.shared import stamps as module
from driftgauge.shared.losses import Setback
from driftgauge.shared.stamps import KEPT_S, SAVE_S, SETTLE_S, Stamps

KEY = "dg:{m.0}:count"


class Clock:
    """The Unix time as the test wants it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stamps" / "api.json"


def run(stamps: Stamps, clock: Clock, start: int, stop: int) -> None:
    """See a commit a second."""
    for number in range(start, stop):
        stamps.note(KEY, (number, 0), events=10 * number)
        clock.now += 1


def test_what_a_crash_may_cost_is_no_setback(path: Path, clock: Clock) -> None:
    """A server that lost its last seconds is not told, since they are sent again; one that lost
    more than twice that is, with the events of the latest position.
    """
    stamps = Stamps(path, clock)
    run(stamps, clock, 1, 101)
    assert stamps.behind(KEY, (100, 0)) is None
    assert stamps.behind(KEY, (100 - int(SETTLE_S) // 2, 0)) is None
    seen = stamps.behind(KEY, (100 - 2 * int(SETTLE_S), 0))
    assert seen is not None
    assert (seen.place, seen.events) == ((100, 0), 1000)
    clock.now += SETTLE_S
    assert stamps.behind(KEY, (99, 0)) is not None


def test_what_was_lost_in_a_crash_is_not_told_later(path: Path, clock: Clock) -> None:
    """A position a little before the latest one, at which all stands still, is no setback when time
    passes.
    """
    stamps = Stamps(path, clock)
    run(stamps, clock, 1, 101)
    for _ in range(60):
        assert stamps.behind(KEY, (97, 0)) is None
        stamps.note(KEY, (97, 0))
        clock.now += 5
    assert stamps.behind(KEY, (96, 0)) is not None


def test_it_is_known_after_a_restart_and_told_once(path: Path, clock: Clock) -> None:
    """Another process that begins with the file knows it; once one has begun anew from there, a
    neighbour that still has the old position in memory does not tell it again.
    """
    first, neighbour = Stamps(path, clock), Stamps(path, clock)
    run(first, clock, 1, 51)
    first.save(now=True)
    run(neighbour, clock, 1, 51)
    clock.now += 60
    begun = Stamps(path, clock)
    assert begun.behind(KEY, (20, 0)) is not None
    begun.note(KEY, (20, 0))
    begun.save(now=True)
    assert begun.behind(KEY, (21, 0)) is None
    assert neighbour.behind(KEY, (21, 0)) is None
    neighbour.note(KEY, (22, 0))
    neighbour.save(now=True)
    assert Stamps(path, clock).behind(KEY, (22, 0)) is None
    clock.now += 60
    assert Stamps(path, clock).behind(KEY, (19, 0)) is not None


def test_a_clock_that_goes_back_tells_nothing_early(path: Path, clock: Clock) -> None:
    """After a jump of the clock positions wait anew until they count."""
    stamps = Stamps(path, clock)
    run(stamps, clock, 1, 31)
    clock.now -= 3600
    assert stamps.behind(KEY, (25, 0)) is None
    run(stamps, clock, 31, 62)
    assert stamps.behind(KEY, (31, 0)) is not None


def test_the_file_is_bounded_and_written_now_and_then(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys that moved last are kept; without a change, or right after a write, nothing is
    written.
    """
    monkeypatch.setattr(module, "MOST_STAMPS", 3)
    stamps = Stamps(path, clock)
    for place in range(5):
        stamps.note(f"key-{place}", (1, 0))
    stamps.save()
    written = path.read_bytes()
    assert all(f"key-{place}".encode() in written for place in (2, 3, 4))
    assert b"key-1" not in written
    stamps.note("key-2", (2, 0))
    stamps.save()
    assert path.read_bytes() == written
    clock.now += SAVE_S
    stamps.save()
    assert path.read_bytes() != written
    path.unlink()
    clock.now += SAVE_S
    stamps.note("key-2", (2, 0))
    stamps.save()
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b'{"stamps":{"a":[1]}}'])
def test_a_damaged_file_is_as_good_as_none(
    content: bytes, path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, nothing is told that nobody knows, and the file is written anew."""
    path.parent.mkdir()
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        stamps = Stamps(path, clock)
        run(stamps, clock, 1, 3)
        stamps.save(now=True)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert KEY.encode() in path.read_bytes()


def test_a_folder_that_cannot_be_written_stops_nothing(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once; the process still knows what it has seen itself."""
    (tmp_path / "file").write_text("in the way")
    stamps = Stamps(tmp_path / "file" / "worker.json", clock)
    run(stamps, clock, 1, 51)
    for _ in range(2):
        stamps.save(now=True)
    assert "whether Redis went back" in caplog.text
    assert len(caplog.records) == 1
    assert stamps.behind(KEY, (5, 0)) is not None


def test_a_setback_is_kept_for_a_minute_by_all_processes(path: Path, clock: Clock) -> None:
    """What a process found is known to its neighbours, and after it has started anew, for as long
    as Redis may lose its word for it.
    """
    found = Setback(KEY, "commit 500", "commit 320", 7, 6000)
    Stamps(path, clock).keep("dg:{m}:watchdog", [found])
    again = Stamps(path, clock)
    assert again.kept("dg:{m}:watchdog") == [found]
    assert again.kept("dg:{other}:watchdog") == []
    clock.now += KEPT_S
    assert again.kept("dg:{m}:watchdog") == []
    again.note(KEY, (320, 0))
    again.save(now=True)
    assert Stamps(path, clock).kept("dg:{m}:watchdog") == []
