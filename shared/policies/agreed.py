"""Which policy file is in force, in Redis: `Keys.policy`, a hash, written by workers and read by
all. Pure.

POLICY holds the models' part of the newest file that a worker has accepted, ORDER its
`Origin.order`, by which a newer one is told from an older one. The hash `Keys.policy_files` has
what each worker tells of its own file.

Theory of operation: files are compared by when they were written, and of two that were written at
the same time by their digest. The newest one that a worker has accepted is in force everywhere,
also for workers that have an older file, or none. So of workers on hosts with different files none
undoes what another did, and the policy changes once for each change of a file. An old file comes
into force again when it is saved again.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from driftgauge.shared.moments import Moment
from driftgauge.shared.unpacking import UNREADABLE

POLICY: Final = b"policy"
ORDER: Final = b"order"
NOTHING: Final = (0, "")
"""The order of no policy, which is the least."""
LIVING_MS: Final = 60_000
"""Time for which what a worker tells of its file is believed; it tells again well before."""


class Origin(msgspec.Struct, frozen=True):
    """Where a policy comes from.

    Parameters
    ----------
    written
        When its file was written (Unix ms).
    digest
        First 16 hexadecimal digits of the SHA-256 of the file.
    who
        Host and path of the file.

    Examples
    --------
    >>> older, newer = (
    ...     Origin(1000, "ff00ff00ff00ff00", "a:p.toml"),
    ...     Origin(2000, "0" * 16, "b:p.toml"),
    ... )
    >>> newer.order > older.order
    True
    """

    written: Moment
    digest: str
    who: str

    @property
    def order(self) -> tuple[int, str]:
        """What says which of two policies is the newer one."""
        return self.written, self.digest

    @property
    def packed_order(self) -> bytes:
        """The order as it stands in Redis."""
        return f"{self.written} {self.digest}".encode()


class Agreed(msgspec.Struct, frozen=True):
    """A policy for all models: its origin, and the tables of the models as JSON."""

    origin: Origin
    policy: msgspec.Raw


class Refusal(msgspec.Struct, frozen=True):
    """A changed file that cannot be used, so that the one before goes on.

    Parameters
    ----------
    line
        The line that is wrong, from 1; 0 if the file cannot be read.
    since
        When it was first found (Unix ms).
    """

    line: int
    reason: str
    since: Moment


class FileState(msgspec.Struct, frozen=True):
    """What a worker tells of its policy file.

    Parameters
    ----------
    origin
        Of the content that it has accepted.
    told
        When it told this, by Redis's clock (Unix ms).
    refused
        Why what stands in the file now is not in force; None if nothing is wrong with it.
    """

    origin: Origin
    told: Moment
    refused: Refusal | None = None

    @property
    def words(self) -> str:
        """What is wrong, in a sentence; empty if nothing is.

        Examples
        --------
        >>> FileState(Origin(0, "", "web-1:p.toml"), 0, Refusal(3, "no such metric", 0)).words
        'The policy file web-1:p.toml is refused, line 3: no such metric. The one before goes on.'
        """
        if self.refused is None:
            return ""
        where = f", line {self.refused.line}" if self.refused.line else ""
        return (
            f"The policy file {self.origin.who} is refused{where}: {self.refused.reason}. The one "
            "before goes on."
        )


def order_of(packed: bytes | None) -> tuple[int, str]:
    """Read the order of what is in force; that of nothing, or of what was written by hand, is the
    least.

    Examples
    --------
    >>> order_of(b"2000 ab"), order_of(None), order_of(b"x")
    ((2000, 'ab'), (0, ''), (0, ''))
    """
    written, _, digest = (packed or b"").decode(errors="replace").partition(" ")
    if not (written.isascii() and written.isdigit() and len(written) <= 16):
        return NOTHING
    return int(written), digest


def files_of(
    fields: Mapping[bytes, bytes], now_ms: int, living_ms: int = LIVING_MS
) -> dict[bytes, FileState]:
    """Return what the workers that live tell of their files, by worker."""
    found = {}
    for name, packed in fields.items():
        try:
            state = msgspec.json.decode(packed, type=FileState)
        except UNREADABLE:  # written by hand, or by another release: it tells nothing
            continue
        if abs(now_ms - state.told) < living_ms:
            found[name] = state
    return found


def refused_in(fields: Mapping[bytes, bytes], now_ms: int) -> list[str]:
    """Say which files are refused and why, each once, although several workers may have it."""
    states = files_of(fields, now_ms).values()
    return sorted({state.words for state in states} - {""})
