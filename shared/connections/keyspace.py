"""Which keys belong to a deployment, in which slots they are, and in which order slots are read.

What is read later may be newer, so who reads a stream comes before who writes it: routes before the
incidents of the models, judging before the panes of the partitions. So nobody is restored ahead of
what he has read (docs/upgrading.md). What everybody may need of a model, its versions and
references, comes last.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import redis

from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.keys import Keys

SCAN_COUNT: Final = 1000
"""Keys that a server looks at in one step of a scan."""
ALONE: Final = frozenset({"models", "workers", "policy", "policy:files", "routes"})
"""The names of the keys without a hash tag."""
FLEETING: Final = frozenset(
    {"workers", "policy:files", "held", "refused", "refused:labels", "proposals"}
)
"""What living processes tell of themselves, for as long as they live, and what one waits for."""
ANSWER: Final = "proposed:"
"""Beginning of the names of answers that somebody waits for."""
LAST: Final = frozenset({"versions", "references"})
"""What others read of a model without a lease; it only grows."""
OWNER: Final = "owner"
MODELS: Final = "models"
"""The set by which workers find the models: it comes after everything else."""
STAGES: Final = frozenset({"count", "judge", "route"})
"""The checkpoints whose lease is `owner`; that of another one is its name and `:owner`."""

COMMIT_FIELD: Final = "commit"
"""Field of a checkpoint that holds its commit number."""

Rank = Literal[0, 1, 2, 3]
LAST_RANK: Final = 3
FIRST_CHECKPOINT: Final = ("route", "judge", "count")
"""The checkpoint that a slot of each rank but the last has as soon as it has any."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The keys of one hash tag that are read together, or one key without a tag.

    Parameters
    ----------
    rank
        0: a route, 1: a model, 2: a partition, 3: what comes last.
    tag
        Hash tag; empty for the keys without one.
    names
        Names of the keys behind the tag, sorted.
    commits
        Commit numbers that its checkpoints had before the keys were listed, by name: while they
        have them still, no key was added by a commit.
    """

    rank: Rank
    tag: str
    names: list[str] = field(default_factory=list)
    commits: dict[str, bytes] = field(default_factory=dict)

    def key(self, prefix: str, name: str) -> str:
        """Return the whole key of a name."""
        return f"{prefix}:{{{self.tag}}}:{name}" if self.tag else f"{prefix}:{name}"


class Names:
    """Tells the keys of a prefix from all others.

    Examples
    --------
    >>> names = Names("dg")
    >>> names.parted(b"dg:{steel.0}:panes:hour"), names.parted(b"dg:models")
    (('steel.0', 'panes:hour'), ('', 'models'))
    >>> names.parted(b"dg:other:models"), names.parted(b"dg:{steel.0}:owner")
    (None, ('steel.0', 'owner'))
    """

    def __init__(self, prefix: str) -> None:
        self._form = re.compile(
            rf"{re.escape(prefix)}:(?:\{{([a-z@][a-z0-9_.-]{{0,127}})\}}:)?([ -~]{{1,512}})"
        )

    def parted(self, key: bytes) -> tuple[str, str] | None:
        """Return hash tag and name of a key; None if it is not a key of the prefix."""
        found = self._form.fullmatch(key.decode("ascii", errors="replace"))
        if found is None or (found[1] is None and found[2] not in ALONE):
            return None
        return found[1] or "", found[2]


def is_lease(name: str) -> bool:
    """Tell whether a name is that of a lease.

    Examples
    --------
    >>> [is_lease(name) for name in ("owner", "reports:owner", "epoch")]
    [True, True, False]
    """
    return name == OWNER or name.endswith(f":{OWNER}")


def is_kept(name: str) -> bool:
    """Tell whether a key is more than what living processes say and wait for."""
    return not (is_lease(name) or name in FLEETING or name.startswith(ANSWER))


def beside(name: str, part: Literal["owner", "epoch"]) -> str:
    """Return the name of the lease of a checkpoint, or of its epoch.

    Examples
    --------
    >>> beside("count", "owner"), beside("reports", "epoch")
    ('owner', 'reports:epoch')
    """
    return part if name in STAGES else f"{name}:{part}"


def found_keys(nodes: Nodes, keys: Keys) -> Iterator[bytes]:
    """Yield the keys of a prefix on all servers, leases and all; one may come twice."""
    names = Names(keys.prefix)
    for client in nodes.masters():
        scanned: Any = client.scan_iter(match=f"{keys.prefix}:*", count=SCAN_COUNT)
        yield from (key for key in scanned if names.parted(key) is not None)


def listed(nodes: Nodes, keys: Keys) -> list[Slot]:
    """Return the slots of a prefix in the order in which they are read, with the commit numbers
    that their checkpoints had before the keys were listed.
    """
    commits = _commits(nodes, set(found_keys(nodes, keys)))
    slots, names = slots_of(keys.prefix, found_keys(nodes, keys)), Names(keys.prefix)
    by_tag = {slot.tag: slot for slot in slots if slot.rank < LAST_RANK}
    for key, number in commits.items():
        tag, name = names.parted(key) or ("", "")
        if tag in by_tag:
            by_tag[tag].commits[name] = number
    return slots


def _commits(nodes: Nodes, found: set[bytes]) -> dict[bytes, bytes]:
    """Return the commit number of each of some keys that is a checkpoint."""
    homes: dict[redis.Redis, list[bytes]] = {}
    for key in found:
        homes.setdefault(nodes.shared(key.decode()), []).append(key)
    commits: dict[bytes, bytes] = {}
    for client, all_keys in homes.items():
        for start in range(0, len(all_keys), SCAN_COUNT):
            part = all_keys[start : start + SCAN_COUNT]
            with client.pipeline(transaction=False) as pipe:
                for key in part:
                    pipe.hget(key.decode(), COMMIT_FIELD)
                replies = pipe.execute(raise_on_error=False)  # other kinds of keys are errors
            commits |= {
                key: reply
                for key, reply in zip(part, replies, strict=True)
                if isinstance(reply, bytes)
            }
    return commits


def slots_of(prefix: str, found: Iterable[bytes]) -> list[Slot]:
    """Put what is to be kept into the order in which it is read.

    Examples
    --------
    >>> found = [
    ...     b"dg:models",
    ...     b"dg:policy",
    ...     b"dg:{m.0}:count",
    ...     b"dg:{m}:judge",
    ...     b"dg:{m}:owner",
    ...     b"dg:{m}:versions",
    ...     b"dg:{@r}:route",
    ... ]
    >>> for slot in slots_of("dg", found):
    ...     print(slot.rank, slot.tag or "-", slot.names)
    0 @r ['route']
    1 m ['judge']
    2 m.0 ['count']
    3 m ['versions']
    3 - ['policy']
    3 - ['models']
    """
    names = Names(prefix)
    gathered: dict[tuple[Rank, bool, bool, str, str], set[str]] = {}
    for key in found:
        parted = names.parted(key)
        if parted is None:
            continue
        tag, name = parted
        if not is_kept(name):
            continue
        alone = "" if tag else name
        place = (rank_of(tag, name), not tag, alone == MODELS, tag, alone)
        gathered.setdefault(place, set()).add(name)
    return [
        Slot(rank, tag, sorted(some)) for (rank, _, _, tag, _), some in sorted(gathered.items())
    ]


def rank_of(tag: str, name: str) -> Rank:
    """Return the rank of the slot that a key is read with."""
    if not tag or name in LAST:
        return 3
    if tag.startswith("@"):
        return 0
    return 2 if "." in tag else 1
