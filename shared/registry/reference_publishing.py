"""Bringing a change of reference from the registry to the workers: the reference first, then the
change to each log.
"""

from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.events import NEW_REFERENCE
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.reference.history import FIELD, ReferenceChange, encode_change, reference_key
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.versions.manifest import Manifest


def publish(
    redis_url: str | None, keys: Keys, manifest: Manifest, store: ReferenceStore
) -> ReferenceChange | None:
    """Publish the change that the registry has last; None if there is none.

    It may be done again at any time: workers that know the change leave it out. Where it was
    interrupted, some partitions follow later.
    """
    changes = store.history().changes
    if not changes:
        return None
    nodes, change = Nodes(redis_url), changes[-1]
    if change.number:
        key = keys.references(manifest.model)
        with nodes.client(key) as client:
            client.hset(
                key, reference_key(change.version, change.number), store.load(change.number).pack()
            )
    salted = keys.salted(manifest.salts)
    for partition in range(manifest.partitions):
        log = salted.log(manifest.model, partition)
        with nodes.client(log) as client:
            client.xadd(log, {b"t": NEW_REFERENCE, FIELD: encode_change(change)})
    return change
