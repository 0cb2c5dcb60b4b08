"""Publication of a change of reference from the registry to the workers.

The reference itself goes to Redis first, then the change to the log of each partition, so that no
worker meets a change whose reference is missing. Where Redis has lost it, both are published again.
"""

from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.events import NEW_REFERENCE
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.reference.history import FIELD, ReferenceChange, encode_change, reference_key
from driftgauge.shared.registry.reference_store import HISTORY_FILE, ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.manifest import Manifest


def publish(
    redis_url: str | None, keys: Keys, manifest: Manifest, store: ReferenceStore
) -> ReferenceChange | None:
    """Publish the latest change of a version's reference, and return it; None if there is none.

    It can be repeated at any time, because workers ignore a change that they know. If it was
    interrupted, repeat it: some partitions do not have the change yet.

    Parameters
    ----------
    redis_url
        Address of Redis; None is a server on this machine.
    store
        The accepted references of the version.
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


def restore(redis_url: str | None, keys: Keys, registry: ModelRegistry) -> list[ReferenceChange]:
    """Publish again the references in use that Redis has lost, of versions that it knows; return
    their changes.

    Without them a version would be judged by the reference that it was registered with, once Redis
    lost the log, too.

    Raises
    ------
    BadData
        If a reference in the registry is damaged.
    """
    nodes, found = Nodes(redis_url), list[ReferenceChange]()
    for path in registry.storage.find(f"*/references/*/{HISTORY_FILE}"):
        model, _, version, _ = path.split("/")
        store = ReferenceStore(registry, model, version)
        number = store.history().number
        key = keys.references(model)
        with nodes.client(key) as client:
            lost = (
                number
                and client.hexists(keys.versions(model), version)
                and not client.hexists(key, reference_key(version, number))
            )
        change = (
            publish(redis_url, keys, registry.manifest(model, version), store) if lost else None
        )
        found += [change] if change is not None else []
    return found
