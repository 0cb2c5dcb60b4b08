"""Bringing a change of reference from the registry to the workers: the reference first, then the change to each log."""

from shared.events import NEW_REFERENCE
from shared.keys import Keys
from shared.manifest import Manifest
from shared.nodes import Nodes
from shared.reference_store import ReferenceStore
from shared.references import FIELD, ReferenceChange, encode_change, reference_key


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
        with nodes.client(key) as client:
            client.hset(key, reference_key(change.version, change.number), store.load(change.number).pack())
    salted = keys.salted(manifest.salts)
    for partition in range(manifest.partitions):
        log = salted.log(manifest.model, partition)
        with nodes.client(log) as client:
            client.xadd(log, {b"t": NEW_REFERENCE, FIELD: encode_change(change)})
    return change
