"""Bringing a change of reference from the registry to the workers: the reference first, then the change to each log."""

from collections.abc import Iterator

from consumer.nodes import Nodes
from shared.events import NEW_REFERENCE
from shared.keys import Keys
from shared.manifest import Manifest
from shared.pane import Pane, PaneEntry
from shared.reference_store import ReferenceStore
from shared.references import FIELD, ReferenceChange, encode_change, reference_key

DAY_MS = 86_400_000


def publish(redis_url: str | None, keys: Keys, manifest: Manifest, store: ReferenceStore) -> ReferenceChange | None:
    """Publish the change that the registry has last; None if there is none.

    It may be done again at any time: workers that know the change leave it out. Where it was interrupted, some partitions
    follow later.
    """
    changes = store.history().changes
    if not changes:
        return None
    nodes, change = Nodes(redis_url), changes[-1]
    if change.number:
        key = keys.references(manifest.model)
        nodes.client(key).hset(key, reference_key(change.version, change.number), store.load(change.number).pack())
    salted = keys.salted(manifest.salts)
    for partition in range(manifest.partitions):
        log = salted.log(manifest.model, partition)
        nodes.client(log).xadd(log, {b"t": NEW_REFERENCE, FIELD: encode_change(change)})
    return change


def window_start(now: int, window_ms: int) -> int:
    """Give where a window begins; one of a day or more at a midnight, so that it has whole days.

    Examples
    --------
    >>> window_start(10 * DAY_MS + 5, 2 * DAY_MS) // DAY_MS, window_start(10 * DAY_MS, 3_600_000)
    (8, 860400000)
    """
    start = now - window_ms
    return start // DAY_MS * DAY_MS if window_ms >= DAY_MS else start


def panes_from(entries: Iterator[PaneEntry], start: int) -> Iterator[Pane]:
    """Give the panes and sums of panes that began at or after a logical time."""
    return (entry for entry in entries if isinstance(entry, Pane) and entry.start >= start)
