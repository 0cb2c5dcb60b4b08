"""Migrating all checkpoints at once, where no worker has them: what each worker does for those that
it takes up (checkpoint.py), done before one starts.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.shared.connections.keyspace import beside, found_keys, slots_of
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.keys import FORMAT, FORMAT_FIELD, Keys
from driftgauge.shared.errors import BadData

Outcome = Literal["current", "old", "migrated", "held", "refused"]
HELD: Final = "a worker has it; it migrates it by itself if it is of this release"


class Migrated(NamedTuple):
    """What became of a checkpoint.

    Parameters
    ----------
    key
        Its key.
    form
        The format that it had.
    outcome
        `current`: it has the present format. `old`: it can be migrated, and nothing was to be
        written. `migrated`: it was. `held`: somebody has its lease. `refused`: it cannot be read.
    words
        Why it was not migrated; empty if it was.
    """

    key: str
    form: str
    outcome: Outcome
    words: str = ""


def migrate_all(
    nodes: Nodes, keys: Keys, lease_ms: int, *, dry_run: bool = False
) -> Iterator[Migrated]:
    """Migrate the checkpoints of a prefix, each under its lease in one commit; yield what became of
    each. It can be ended at any moment, and done again.

    Raises
    ------
    redis.RedisError
        If Redis does not answer.
    """
    for slot in slots_of(keys.prefix, found_keys(nodes, keys)):
        for name in slot.names:
            key = slot.key(keys.prefix, name)
            client = nodes.shared(key)
            if client.type(key) != b"hash":
                continue
            form: Any = client.hget(key, FORMAT_FIELD.decode())
            if form is None:
                continue
            checkpoint = Checkpoint(
                client,
                key,
                slot.key(keys.prefix, beside(name, "owner")),
                slot.key(keys.prefix, beside(name, "epoch")),
                lease_ms,
            )
            try:
                outcome = _migrate(checkpoint, dry_run=dry_run)
            except BadData as error:
                yield Migrated(key, form.decode(errors="replace"), "refused", str(error))
            else:
                words = HELD if outcome == "held" else ""
                yield Migrated(key, form.decode(), outcome, words)


def _migrate(checkpoint: Checkpoint, *, dry_run: bool) -> Outcome:
    if checkpoint.look() == FORMAT:
        return "current"
    if dry_run:
        return "old"
    if not checkpoint.acquire():
        return "held"
    try:
        checkpoint.load()
    finally:
        checkpoint.release()
    return "migrated"
