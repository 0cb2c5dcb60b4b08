"""The policy file, looked at again and again."""

import logging
import os
from pathlib import Path

import pytest

from driftgauge.consumer.policies.file import AGAIN_S, WatchedFile
from driftgauge.shared.errors import PolicyRefused

OLD = 1_700_000_000.0
"""A time (s) that is long ago for the clock of the tests."""
CALM, LOUD = "[default]\npsi_warning = 0.5\n", "[default]\npsi_warning = 0.1\n"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = OLD + 1000

    def __call__(self) -> float:
        return self.now


def write(path: Path, text: str, at: float = OLD) -> None:
    path.write_text(text)
    os.utime(path, (at, at))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "policy.toml"
    write(found, CALM)
    return found


def looked(watched: WatchedFile, looks: int = 2) -> bool:
    """Look until nobody can be writing any more; return whether anything changed."""
    found = [watched.look() for _ in range(looks)]
    return any(found)


def warning_of(watched: WatchedFile) -> float | None:
    return watched.accepted.file.default.psi_warning


def test_a_change_is_taken_when_nobody_writes_any_more(path: Path, clock: Clock) -> None:
    """A file that is being written is not read: it must be the same at two looks running."""
    watched = WatchedFile(path, clock)
    write(path, "", OLD + 10)
    assert not watched.look()
    write(path, LOUD, OLD + 11)
    assert not watched.look()
    assert watched.look()
    assert (warning_of(watched), watched.accepted.origin.written) == (0.1, round(OLD + 11) * 1000)
    assert not looked(watched)


@pytest.mark.parametrize(
    ("text", "line"), [("[default]\npsi_warning = -1", 2), ("[default\n", 1), ("x", 1)]
)
def test_a_refused_file_is_told_once_and_the_old_one_goes_on(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, text: str, line: int
) -> None:
    """The log has line and reason once, however long it stands; the accepted one is unchanged."""
    watched = WatchedFile(path, clock)
    before = watched.accepted
    write(path, text, OLD + 10)
    assert looked(watched)
    assert not looked(watched, 5)
    clock.now += 2 * AGAIN_S
    assert not looked(watched, 5)
    assert watched.refused is not None
    assert (watched.refused.line, watched.accepted) == (line, before)
    errors = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert len(errors) == 1
    assert f"line {line}" in errors[0].getMessage()
    assert "The one before goes on." in errors[0].getMessage()


def test_a_mended_file_is_taken(path: Path, clock: Clock) -> None:
    """What was wrong is forgotten with the next good file, and with the old one put back."""
    watched = WatchedFile(path, clock)
    for at, good in ((20, LOUD), (40, LOUD), (60, CALM)):
        write(path, "wrong", OLD + at)
        assert looked(watched)
        assert watched.refused is not None
        write(path, good, OLD + at + 10)
        assert looked(watched)
        assert watched.refused is None
    assert warning_of(watched) == 0.5


def test_a_file_that_is_gone_is_refused(path: Path, clock: Clock) -> None:
    """Without the file the old policy goes on, and the reason says so; so with a folder in its
    place.
    """
    watched = WatchedFile(path, clock)
    path.unlink()
    assert looked(watched)
    assert watched.refused is not None
    assert (watched.refused.line, warning_of(watched)) == (0, 0.5)
    assert "cannot be read (No such file or directory)" in watched.refused.reason
    path.mkdir()
    assert looked(watched)
    assert "regular file" in watched.refused.reason or "directory" in watched.refused.reason


def test_a_file_that_comes_with_an_old_time_is_newer(path: Path, clock: Clock) -> None:
    """Copied with its time, it was written when it was seen; so it comes into force everywhere."""
    watched = WatchedFile(path, clock)
    write(path, LOUD, OLD - 5000)
    assert looked(watched)
    assert watched.accepted.origin.written == round(clock.now * 1000)


def test_a_time_in_the_future_is_now(path: Path, clock: Clock) -> None:
    """A file of a wrong clock cannot stand in the way of all that come later."""
    watched = WatchedFile(path, clock)
    write(path, LOUD, clock.now + 1_000_000)
    assert looked(watched)
    assert watched.accepted.origin.written == round(clock.now * 1000)


def test_a_young_file_is_read_again(path: Path, clock: Clock) -> None:
    """Where times have whole seconds, two writings within one look the same: a file that is as
    young as that is read again.
    """
    write(path, CALM, clock.now)
    watched = WatchedFile(path, clock)
    write(path, LOUD, clock.now)
    assert looked(watched)
    assert warning_of(watched) == 0.1


def test_a_worker_does_not_start_without_the_file(tmp_path: Path) -> None:
    """What cannot be read at the start is an error that names the file."""
    with pytest.raises(PolicyRefused, match=r"absent\.toml cannot be used: it cannot be read"):
        WatchedFile(tmp_path / "absent.toml")


def test_what_is_saved_again_is_newer(path: Path, clock: Clock) -> None:
    """The same content, saved again, was written then; it is the same policy, and no news."""
    watched = WatchedFile(path, clock)
    before = watched.accepted
    write(path, CALM, OLD + 10)
    assert not looked(watched)
    assert watched.accepted.file is before.file
    assert watched.accepted.origin.written == round(OLD + 10) * 1000
    path.unlink()
    write(path, CALM, OLD - 5000)  # moved here with its time
    assert not looked(watched)
    assert watched.accepted.origin.written == round(clock.now * 1000)
    clock.now += 100
    assert not looked(watched, 5)
    assert watched.accepted.origin.written == round(clock.now - 100) * 1000


def test_what_was_refused_and_is_saved_as_before_is_newer(path: Path, clock: Clock) -> None:
    """Putting the old content back is saving it again."""
    watched = WatchedFile(path, clock)
    write(path, "wrong", OLD + 10)
    assert looked(watched)
    write(path, CALM, OLD + 20)
    assert looked(watched)
    assert watched.accepted.origin.written == round(OLD + 20) * 1000


def test_what_was_out_of_sight_was_not_saved_again(path: Path, clock: Clock) -> None:
    """A mount that is away for a moment brings no old file into force: it is as old as before."""
    watched = WatchedFile(path, clock)
    away = path.with_name("away")
    path.rename(away)
    assert looked(watched)
    assert watched.refused is not None
    away.rename(path)
    assert looked(watched)
    assert watched.refused is None
    assert watched.accepted.origin.written == round(OLD) * 1000
