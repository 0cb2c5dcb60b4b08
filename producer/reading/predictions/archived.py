"""Pages of the archive, read in threads of their own: the event loop goes on meanwhile."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.reading.predictions.log import Logged, PredictionFilter
from driftgauge.shared.archive.paging.position import Position
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.errors import DriftgaugeError

if TYPE_CHECKING:
    from driftgauge.shared.archive.paging.backwards import Page
    from driftgauge.shared.archive.scan import Range, Told
    from driftgauge.shared.archive.store import Store

    Find = Callable[[Store, Range, Told], Page]

THREADS: Final = 2
"""Pages of an API process that are read at the same time; others wait."""
ROWS_S: Final = 2.0
"""Time (s) after which a page ends early, and the next one goes on."""
LABELS_S: Final = 4.0
"""Time (s) since a page's beginning after which no more labels are looked for."""


@dataclass(frozen=True, slots=True)
class ArchivedPage:
    """Some predictions of the archive, newest first.

    Parameters
    ----------
    following
        Where the next page begins; None at the end of the archive.
    read
        Number of rows that were looked at.
    skipped
        What could not be read, in sentences, each once.
    """

    rows: list[Logged]
    following: Position | None
    read: int
    skipped: tuple[str, ...]


class ArchivePages:
    """The archive of all models.

    Parameters
    ----------
    url
        Its folder or address.
    wait_ms
        How long a label is looked for behind its prediction, in ms.
    """

    def __init__(self, url: str, wait_ms: int) -> None:
        self._url, self._wait_ms = url, wait_ms
        self._threads = ThreadPoolExecutor(THREADS, "archive")

    def start(self) -> None:
        """Load what reads an archive, before somebody waits for it."""
        self._threads.submit(lambda: self._store)

    def close(self) -> None:
        """Begin no more pages; those that are read end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def page(
        self,
        model: str,
        wanted: PredictionFilter,
        bounds: Mapping[int, EntryId],
        start: Position,
        limit: int,
    ) -> ArchivedPage:
        """Return up to `limit` predictions with their labels, newest first.

        The parameters are those of `newest` in shared/archive/paging/backwards.py.

        Raises
        ------
        Problem
            503 if the archive does not answer, or cannot be read here.
        """

        def find(store: "Store", among: "Range", told: "Told") -> "Page":
            from driftgauge.shared.archive.paging.backwards import newest

            is_enough = _after(time.monotonic() + ROWS_S)
            return newest(store, among, bounds, start, limit, is_enough, told)

        return await self._in_thread(model, wanted, find)

    async def of_id(self, model: str, wanted: PredictionFilter) -> ArchivedPage:
        """Return the prediction of an id that tells when it was made; no row if it is not there.

        Raises
        ------
        Problem
            503 if the archive does not answer, or cannot be read here.
        """

        def find(store: "Store", among: "Range", told: "Told") -> "Page":
            from driftgauge.shared.archive.paging.backwards import of_id

            return of_id(store, among, told)

        return await self._in_thread(model, wanted, find)

    async def _in_thread(self, model: str, wanted: PredictionFilter, find: "Find") -> ArchivedPage:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._read, model, wanted, find)
        except (OSError, DriftgaugeError) as error:
            raise Problem(503, f"The archive cannot be read: {error}") from error

    @cached_property
    def _store(self) -> "Store":
        """The archive, opened once: connections to object storage are kept."""
        from driftgauge.shared.archive.paging import labels  # noqa: F401  it takes part of a second
        from driftgauge.shared.archive.store import open_store

        return open_store(self._url)

    def _read(self, model: str, wanted: PredictionFilter, find: "Find") -> ArchivedPage:
        """Find rows, and their labels in the time that is left."""
        store, begun = self._store, time.monotonic()
        from driftgauge.shared.archive.paging.labels import labels_of

        said: list[str] = []
        page = find(store, _range(model, wanted), said.append)
        is_enough = _after(begun + LABELS_S)
        labels = labels_of(store, model, page.rows, self._wait_ms, is_enough, said.append)
        rows = [
            Logged(
                row.place,
                min(row.event.time, row.place.entry.ms),
                row.event,
                labels.get(row.event.id),
                row.names,
            )
            for row in page.rows
        ]
        return ArchivedPage(rows, page.following, page.read, tuple(dict.fromkeys(said)))


def _after(moment: float) -> Callable[[], bool]:
    return lambda: time.monotonic() >= moment


def _range(model: str, wanted: PredictionFilter) -> "Range":
    from driftgauge.shared.archive.scan import Range

    return Range(
        model,
        wanted.since_ms,
        wanted.until_ms,
        wanted.version,
        wanted.least,
        wanted.most,
        wanted.prediction,
        (wanted.id,) if wanted.id else (),
    )
