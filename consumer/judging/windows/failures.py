"""The latest attempts to predict of a version, and which of them failed.

It is another window than that of the values: a failed prediction has none, and an outage must not
push the rows out that drift is judged by.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from driftgauge.consumer.judging.windows.window import DAY_MS


class Attempts(msgspec.Struct, frozen=True, array_like=True):
    """Attempts of a version in a pane: predictions, and failed ones by the kind of their error."""

    end: int
    rows: int
    failed: dict[str, int] = {}

    @property
    def size(self) -> int:
        """Number of attempts."""
        return self.rows + sum(self.failed.values())


@dataclass(slots=True)
class FailureWindow:
    """The latest attempts, at least a number of them, none older than some days.

    Examples
    --------
    >>> window = FailureWindow()
    >>> for pane in (Attempts(1, 90), Attempts(2, 60, {"ValueError": 40})):
    ...     window.add(pane, least=100, days=7)
    >>> window.attempts, window.failed, window.kinds
    (100, 40, [('ValueError', 40)])
    """

    panes: deque[Attempts] = field(default_factory=deque)
    attempts: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """Number of failed ones."""
        return self.counts.total()

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """The kinds of errors and their numbers, the commonest first."""
        return sorted(self.counts.items(), key=lambda one: (-one[1], one[0]))

    def add(self, pane: Attempts, *, least: int, days: int) -> None:
        """Add those of a pane, and let go what is not needed any more."""
        self._append(pane)
        while self.attempts - self.panes[0].size >= least or (
            self.panes[0].end < pane.end - days * DAY_MS
        ):
            self._take(self.panes.popleft(), -1)

    def pack(self) -> bytes:
        """Pack the window for the checkpoint."""
        return msgspec.msgpack.encode(list(self.panes))

    @classmethod
    def unpack(cls, packed: bytes) -> "FailureWindow":
        """Unpack what `pack` returned."""
        return cls.of(msgspec.msgpack.decode(packed, type=list[Attempts]))

    @classmethod
    def of(cls, panes: Iterable[Attempts]) -> "FailureWindow":
        """Sum panes."""
        window = cls()
        for pane in panes:
            window._append(pane)
        return window

    def _append(self, pane: Attempts) -> None:
        self.panes.append(pane)
        self._take(pane, 1)

    def _take(self, pane: Attempts, sign: int) -> None:
        self.attempts += sign * pane.size
        _add(self.counts, pane.failed, sign)


def _add(counts: Counter[str], failed: Mapping[str, int], sign: int) -> None:
    for kind, number in failed.items():
        counts[kind] += sign * number
        if not counts[kind]:
            del counts[kind]
