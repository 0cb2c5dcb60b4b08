"""A stream as the archive has it: its rows, and its head, which tells how far they go."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from driftgauge.shared.archive.manifest import Kind
from driftgauge.shared.archive.pruning import prune
from driftgauge.shared.archive.rows import Group
from driftgauge.shared.archive.store import Store
from driftgauge.shared.archive.writing import (
    Head,
    note_cut,
    read_head,
    write_groups,
    write_head,
)
from driftgauge.shared.errors import DriftgaugeError

log = logging.getLogger("driftgauge.worker")


@dataclass(frozen=True)
class ArchivedStream:
    """Writes the rows of a stream, and removes those that Redis has lost.

    Its methods raise DriftgaugeError if the archive does not answer; the stage is tried again.

    Parameters
    ----------
    head
        Name of its head, such as `p0` for the log of the first partition.
    kinds
        Kinds of its rows.
    """

    store: Store
    model: str
    partition: int
    head: str
    kinds: Sequence[Kind]

    def read_head(self) -> Head | None:
        """Return how far it is archived; None if nothing of it is."""
        with self.asked():
            return read_head(self.store, self.model, self.head)

    def write(
        self, span: tuple[str, str], groups: Iterable[Group], hold: Callable[[], None]
    ) -> None:
        """Write the rows of a cut, whose parameters are those of `write_groups`, and move the
        head.
        """
        with self.asked():
            note_cut(self.store, self.model, self.head, span)
            write_groups(self.store, self.model, self.partition, span, groups, hold)
            write_head(self.store, self.model, self.head, span[1])

    def remove_behind(self, end: str, name: str, hold: Callable[[], None]) -> None:
        """Remove the rows behind an entry, which come again; the stage `name` tells of it."""
        with self.asked():
            gone = prune(self.store, self.model, self.partition, end, hold, self.kinds)
            write_head(self.store, self.model, self.head, end)
        log.warning(
            "%s: Redis came back with an older state; %d rows behind it were removed from the "
            "archive, and come again.",
            name,
            gone,
        )

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Say in a sentence that the store failed."""
        try:
            yield
        except OSError as error:
            raise DriftgaugeError(
                f"the archive {self.store.where()} failed: {error}. Counting goes on, and what is "
                f"not archived waits in Redis."
            ) from error
