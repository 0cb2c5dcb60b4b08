"""Looking after the days of an archive that are over: they go when they are too old, and their
small files become few.

Theory of operation: a manifest changes first, and says which files are retired. They get a name
that other tools do not read, and are removed `GRACE_MS` later, so a reader that has begun goes on
to its end; and who is killed anywhere in between left all that is to be done in a manifest. The
manifest of a day that is gone stays, and says when, and how many rows that were.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from driftgauge.shared.archive.manifest import KINDS, NAME, Manifest, day_folder
from driftgauge.shared.archive.pruning import Day, days
from driftgauge.shared.archive.scan import date_at
from driftgauge.shared.archive.store import Store
from driftgauge.shared.archive.upkeep.compacting import compact
from driftgauge.shared.archive.writing import change_manifest
from driftgauge.shared.errors import BadData

log = logging.getLogger("driftgauge.worker")

GRACE_MS: Final = 3_600_000
"""Time (ms) for which a retired file stays."""


def tend(
    store: Store,
    model: str,
    now_ms: int,
    waiting_ms: float,
    keep_days: int,
    hold: Callable[[], None],
) -> Iterator[int]:
    """Look after a model's days, one at a time; yield 1 for each that was removed, else 0.

    Parameters
    ----------
    now_ms
        The time.
    waiting_ms
        Entry time of the oldest row that is not archived yet: its day, and later ones, stay.
    keep_days
        Days that are kept beside today; 0 keeps all.
    hold
        Function that is called between the files, and may end it by an error.

    Raises
    ------
    OSError
        If the archive does not answer.
    """
    over = date_at(int(min(now_ms, waiting_ms)))
    oldest = date_at(now_ms - keep_days * 86_400_000) if keep_days else ""
    for kind in KINDS:
        for day in days(store, model, kind):
            hold()
            removed = 0
            try:
                sweep(store, model, day, now_ms - GRACE_MS)
                if day.date < min(oldest, over):
                    removed = _expire(store, model, day, now_ms, keep_days)
                elif day.date < over:
                    _join(store, model, day, now_ms, hold)
            except BadData as error:  # its day stays as it is; people restore the file
                log.error("archive of %s: %s", model, error)  # noqa: TRY400  it is our own sentence
            yield removed


def sweep(store: Store, model: str, day: Day, before: int | None) -> None:
    """Remove the files of a day that were retired before a time (Unix ms); None removes all.

    Of a day that is gone, files that no manifest names go too.
    """
    folder = day_folder(day.kind, model, day.date)
    due = {one.name for one in day.manifest.retired if before is None or one.at < before}
    for name in sorted(
        day.manifest.names.difference(due, (one.name for one in day.manifest.files))
    ):
        store.retire(f"{folder}/{name}")  # who was killed before this left it
    due -= {file.name for file in day.manifest.files}
    if not due:
        return
    for name in sorted(due):
        store.remove(f"{folder}/{name}")
    left: Manifest = day.manifest

    def swept(manifest: Manifest) -> Manifest:
        nonlocal left
        retired = tuple(one for one in manifest.retired if one.name not in due)
        left = msgspec.structs.replace(manifest, retired=retired)
        return left

    change_manifest(store, day.kind, model, day.date, swept)
    if left.expired is not None and not left.files:
        for path in list(store.find(folder)):
            name = path.rpartition("/")[2]
            if name != NAME and name not in left.names:
                store.remove(path)


def _expire(store: Store, model: str, day: Day, now_ms: int, keep_days: int) -> int:
    """Remove a day; return 1 if it had rows."""
    gone: Manifest = day.manifest
    if not gone.files:
        return 0

    def expired(manifest: Manifest) -> Manifest:
        nonlocal gone
        gone = manifest
        return manifest.expire(now_ms)

    change_manifest(store, day.kind, model, day.date, expired)
    for file in gone.files:
        store.retire(f"{day_folder(day.kind, model, day.date)}/{file.name}")
    log.info(
        "archive of %s: %s of %s are older than %d days and removed: %d rows in %d files.",
        model,
        day.kind,
        day.date,
        keep_days,
        sum(file.rows for file in gone.files),
        len(gone.files),
    )
    return 1


def _join(store: Store, model: str, day: Day, now_ms: int, hold: Callable[[], None]) -> None:
    fewer = compact(store, model, day, now_ms, hold)
    if fewer:
        log.info("archive of %s: %s of %s: %d files fewer.", model, day.kind, day.date, fewer)
