"""Reads the policy file, and looks whether it changed.

Theory of operation: `look` is called about once a second. It compares size, time and inode with
those of the last reading; if they differ, and were the same at two looks running (so that nobody
is just writing), the file is read again. The same content, saved again, is the same policy, written
later: so an old file comes into force again among others (agreement.py).

What cannot be used is refused with line and reason, and what was accepted before goes on. A refused
file is tried again from time to time, since the secret that it needs may come later than the file.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from typing import Final

from driftgauge.consumer.judging.rules.policy_file import MOST_BYTES, PolicyFile, read_policy
from driftgauge.consumer.notifying.checking import require
from driftgauge.shared.errors import PolicyRefused
from driftgauge.shared.policies.agreed import Origin, Refusal
from driftgauge.shared.regular_files import read_regular

log = logging.getLogger("driftgauge.worker")

DIGITS: Final = 16
YOUNG_S: Final = 3.0
"""Age (s) of a file up to which another change may not be seen in its time: some file systems count
in seconds.
"""
AGAIN_S: Final = 10.0
"""Time (s) after which a refused file is tried again."""

_Mark = tuple[int, int, int]


@dataclass(frozen=True)
class Accepted:
    """A policy file that can be used, and where it comes from."""

    file: PolicyFile
    origin: Origin


def read_file(path: Path, *, check_routes: bool = False) -> Accepted:
    """Read a policy file as it is now.

    Parameters
    ----------
    check_routes
        Whether its routes must be usable here: their secrets are there.

    Raises
    ------
    PolicyRefused
        If it cannot be read or used.
    """
    mark = _mark(path)
    text = _content(path)
    written = 0 if mark is None else min(mark[0] // 1_000_000, _now_ms())
    file = usable(text, path) if check_routes else read_policy(text, str(path))
    return Accepted(file, _origin(path, text, written))


def usable(text: bytes, path: Path) -> PolicyFile:
    """Read a policy file, and check that its routes can be used here.

    Raises
    ------
    PolicyRefused
        If it cannot be used, or a secret of a route is missing.
    """
    file = read_policy(text, str(path))
    require(file.routes, text, str(path))
    return file


class WatchedFile:
    """A policy file that may change.

    Parameters
    ----------
    path
        The file.
    clock
        Unix time in seconds, for tests.

    Raises
    ------
    PolicyRefused
        If it cannot be read or used now: a worker does not start with it.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.refused: Refusal | None = None
        """Why what stands in the file is not used; None if it is."""
        self._clock = clock
        self._accepted_mark = self._read_mark = self._mark = _mark(path)
        self.accepted = read_file(path, check_routes=True)
        self._digest = self.accepted.origin.digest
        self._read_s = clock()

    def look(self) -> bool:
        """Look at the file; return whether it is another one now, or is refused by now."""
        mark = _mark(self.path)
        settled, self._mark = mark == self._mark, mark
        if not settled or not (mark != self._read_mark or self._may_differ(mark)):
            return False
        self._read_mark, self._read_s = mark, self._clock()
        before = self._digest, self.refused
        try:
            self._take(_content(self.path), mark)
        except PolicyRefused as error:
            self._refuse(error)
        return before != (self._digest, self.refused)

    def _may_differ(self, mark: _Mark | None) -> bool:
        """Return whether the file is to be read again although it has the mark that it had."""
        age_s = self._clock() - self._read_s
        if self.refused is not None:
            return not 0 <= age_s < AGAIN_S
        return mark is not None and self._read_s - mark[0] / 1e9 < YOUNG_S

    def _take(self, text: bytes, mark: _Mark | None) -> None:
        """Accept what stands in the file now, if it is another content than before, or was saved
        again. A file that was out of sight for a time was not.
        """
        digest = _digest(text)
        is_same = digest == self.accepted.origin.digest
        if not is_same or mark != self._accepted_mark:
            file = self.accepted.file if is_same else usable(text, self.path)
            self.accepted = Accepted(file, _origin(self.path, text, self._written(mark)))
            self._accepted_mark = mark
        again = "The policy file %s is again the one that is in use."
        self._settle(digest, again if is_same else "The policy file %s changed, and is taken up.")

    def _written(self, mark: _Mark | None) -> int:
        """Return when the content that stands there now was written, which is after the one that
        was accepted before.
        """
        now = round(self._clock() * 1000)
        written = 0 if mark is None else min(mark[0] // 1_000_000, now)
        before = self.accepted.origin.written
        return written if written > before else max(now, before + 1)  # it came with an old time

    def _settle(self, digest: str, words: str) -> None:
        """Note that what stands in the file is in use, and say so if it was not."""
        if self.refused is not None or digest != self._digest:
            log.info(words, self.path)
        self.refused, self._digest = None, digest

    def _refuse(self, error: PolicyRefused) -> None:
        """Note why the file is refused; say it once for each reason."""
        known = self.refused
        if known is None or (known.line, known.reason) != (error.line, error.reason):
            log.error("%s The one before goes on.", error)
            self.refused = Refusal(error.line, error.reason, round(self._clock() * 1000))


def _mark(path: Path) -> _Mark | None:
    """Return by what a change of a file is seen: time, size and inode; None if it is not there."""
    try:
        found = path.stat()
    except OSError:  # said by the reading
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _content(path: Path) -> bytes:
    try:
        return read_regular(path, MOST_BYTES)
    except OSError as error:
        reason = f"it cannot be read ({error.strerror}); DRIFTGAUGE_POLICY_FILE names it"
        raise PolicyRefused(str(path), 0, reason) from error


def _origin(path: Path, text: bytes, written: int) -> Origin:
    return Origin(written, _digest(text), f"{gethostname()}:{path}")


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:DIGITS]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
