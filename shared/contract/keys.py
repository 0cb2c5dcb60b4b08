"""The names of everything stored in Redis (docs/architecture.md).

All keys of one partition, and all keys of one model's judging, share a hash tag, so that one
transaction covers them on Redis Cluster too.
"""

import re
from binascii import crc_hqx
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Annotated, Final, Self

import msgspec

MODEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
SLOTS = 16_384
"""Hash slots of a Redis Cluster."""
MOST_PARTITIONS: Final = 256
"""Most partitions of a model."""
Partitions = Annotated[int, msgspec.Meta(ge=1, le=MOST_PARTITIONS)]
Salt = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,10}$")]
RouteName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]{0,63}$")]
"""Name of a route of notifications."""
LONGEST_FORMAT: Final = 9
"""Most digits of a format's number."""
FORMAT_FIELD: Final = b"format"
"""Field of a checkpoint that holds the format of its other fields."""
OLDEST_FORMAT, FORMAT = b"2", b"3"
"""The oldest format that is read, and the one that is written: what is read is migrated to it
(consumer/migrations).
"""


def unreadable(form: bytes) -> str:
    """Return why a checkpoint of a format cannot be read, as the rest of a sentence; empty if it
    can.

    Examples
    --------
    >>> unreadable(b"3"), unreadable(b"2")
    ('', '')
    >>> unreadable(b"4")
    'has format 4, which a newer release of Driftgauge wrote (this one reads 2 to 3)'
    >>> unreadable(b"1")
    'has format 1, which is too old (this release reads 2 to 3)'
    >>> unreadable(b"junk")
    'has no format that is known (this release reads 2 to 3)'
    """
    known = f"{OLDEST_FORMAT.decode()} to {FORMAT.decode()}"
    if not form.isdigit() or len(form) > LONGEST_FORMAT:
        return f"has no format that is known (this release reads {known})"
    number = int(form)
    if number > int(FORMAT):
        return (
            f"has format {number}, which a newer release of Driftgauge wrote (this one reads "
            f"{known})"
        )
    if number < int(OLDEST_FORMAT):
        return f"has format {number}, which is too old (this release reads {known})"
    return ""


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under one prefix.

    Parameters
    ----------
    salts
        Salts of the partitions of one model, from its manifest, which are part of the hash tags.
        Without salts a tag consists of model and partition.

    Examples
    --------
    >>> keys = Keys("dg")
    >>> keys.log("steel", 0), keys.alerts("steel")
    ('dg:{steel.0}:log', 'dg:{steel}:alerts')
    >>> keys.salted(("7", "40")).log("steel", 1)
    'dg:{steel.1.40}:log'
    """

    prefix: str = "dg"
    salts: tuple[str, ...] = ()

    def salted(self, salts: Sequence[str]) -> Self:
        """Return the keys of a model with these salts."""
        return replace(self, salts=tuple(salts))

    @property
    def models(self) -> str:
        return f"{self.prefix}:models"

    @property
    def workers(self) -> str:
        return f"{self.prefix}:workers"

    @property
    def policy(self) -> str:
        """Key of the policy that is in force."""
        return f"{self.prefix}:policy"

    @property
    def policy_files(self) -> str:
        """Key of what each worker tells of its policy file."""
        return f"{self.prefix}:policy:files"

    @property
    def routes(self) -> str:
        """Key of the set of the names of all routes of notifications that a worker has had."""
        return f"{self.prefix}:routes"

    def route(self, route: str) -> str:
        """Return the key of the checkpoint of a route of notifications, in a slot of its own: no
        model's name begins with `@`.

        Examples
        --------
        >>> Keys("dg").route("on-call")
        'dg:{@on-call}:route'
        """
        return self._route(route, "route")

    def route_owner(self, route: str) -> str:
        return self._route(route, "owner")

    def route_epoch(self, route: str) -> str:
        return self._route(route, "epoch")

    def route_dead(self, route: str) -> str:
        """Return the key of the stream of what the route's target refused."""
        return self._route(route, "dead")

    def _route(self, route: str, name: str) -> str:
        return f"{self.prefix}:{{@{route}}}:{name}"

    def _model(self, model: str, name: str) -> str:
        return f"{self.prefix}:{{{model}}}:{name}"

    def _partition(self, model: str, partition: int, name: str) -> str:
        salt = self.salts[partition] if self.salts else ""
        return f"{self.prefix}:{{{_tag(model, partition, salt)}}}:{name}"

    def versions(self, model: str) -> str:
        return self._model(model, "versions")

    def references(self, model: str) -> str:
        return self._model(model, "references")

    def proposals(self, model: str) -> str:
        return self._model(model, "proposals")

    def proposed(self, model: str, asked: str) -> str:
        return self._model(model, f"proposed:{asked}")

    def judge(self, model: str) -> str:
        return self._model(model, "judge")

    def judge_owner(self, model: str) -> str:
        return self._model(model, "owner")

    def judge_epoch(self, model: str) -> str:
        return self._model(model, "epoch")

    def follower(self, model: str, name: str, partition: int | None = None) -> str:
        """Return the key of the checkpoint of a follower of the streams of the model, or of one of
        its partitions, such as `reports`.
        """
        if partition is not None:
            return self._partition(model, partition, name)
        return self._model(model, name)

    def follower_owner(self, model: str, name: str, partition: int | None = None) -> str:
        return self.follower(model, f"{name}:owner", partition)

    def follower_epoch(self, model: str, name: str, partition: int | None = None) -> str:
        return self.follower(model, f"{name}:epoch", partition)

    def judge_dead(self, model: str) -> str:
        return self._model(model, "dead")

    def commands(self, model: str) -> str:
        return self._model(model, "commands")

    def current(self, model: str) -> str:
        return self._model(model, "current")

    def brief(self, model: str) -> str:
        """Return the key of the hash of the model's current windows in brief, by version."""
        return self._model(model, "brief")

    def figures(self, model: str) -> str:
        """Return the key of the hash of what /metrics shows of the model's current windows, by
        version.
        """
        return self._model(model, "figures")

    def alerts(self, model: str) -> str:
        return self._model(model, "alerts")

    def incidents(self, model: str) -> str:
        """Return the key of the stream of the model's incidents."""
        return self._model(model, "incidents")

    def open_incidents(self, model: str) -> str:
        """Return the key of the hash of the model's open incidents, by id."""
        return self._model(model, "incidents:open")

    def snapshots(self, model: str) -> str:
        return self._model(model, "snapshots")

    def watchdog(self, model: str) -> str:
        return self._model(model, "watchdog")

    def held(self, model: str) -> str:
        return self._model(model, "held")

    def refused(self, model: str) -> str:
        return self._model(model, "refused")

    def refused_labels(self, model: str) -> str:
        return self._model(model, "refused:labels")

    def log(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "log")

    def is_log_of(self, model: str, key: bytes) -> bool:
        """Tell whether a key is the log of one of a model's partitions, with or without a salt.

        Examples
        --------
        >>> keys = Keys("dg")
        >>> [keys.is_log_of("steel", key) for key in (b"dg:{steel.0.7}:log", b"dg:{oil.0}:log")]
        [True, False]
        """
        form = re.compile(rf"{re.escape(self.prefix)}:\{{{model}\.\d{{1,9}}(\.\d{{1,9}})?\}}:log")
        return bool(
            MODEL_NAME.fullmatch(model) and form.fullmatch(key.decode("ascii", errors="replace"))
        )

    def count(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "count")

    def panes(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "panes")

    def rollups(self, model: str, partition: int, span: str) -> str:
        return self._partition(model, partition, f"panes:{span}")

    def owner(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "owner")

    def epoch(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "epoch")

    def dead(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "dead")

    def uncounted(self, model: str, partition: int) -> str:
        """Return the key of the stream that says which entries of the log were not counted."""
        return self._partition(model, partition, "uncounted")

    def archive(self, model: str, partition: int) -> str:
        """Return the key of the checkpoint of what was written to the archive."""
        return self._partition(model, partition, "archive")

    def archive_owner(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "archive:owner")

    def archive_epoch(self, model: str, partition: int) -> str:
        return self._partition(model, partition, "archive:epoch")

    def ids(self, model: str, partition: int, hour: int) -> str:
        return self._partition(model, partition, f"client-ids:{hour}")

    def pending(self, model: str, partition: int, day: int) -> str:
        return self._partition(model, partition, f"pending:{day}")

    def exchanges(self, model: str, partition: int, span: int) -> str:
        return self._partition(model, partition, f"exchanges:{span}")

    def bridge(self, model: str, partition: int, source: str, part: str) -> str:
        """Return a key of the checkpoint of what another log writes to a partition."""
        return self._partition(model, partition, ":".join(filter(None, ("bridge", source, part))))

    def early(self, model: str, partition: int, day: int) -> str:
        return self._partition(model, partition, f"early:{day}")


def model_names(members: Iterable[bytes]) -> list[str]:
    r"""Return the models among the members of `Keys.models`, sorted; what cannot be a model's name
    was written by hand.

    Examples
    --------
    >>> model_names([b"steel", b"\xff", b"No such name"])
    ['steel']
    """
    names = (member.decode(errors="replace") for member in members)
    return sorted(name for name in names if MODEL_NAME.fullmatch(name))


def check_salts(partitions: int, salts: Sequence[str]) -> None:
    """Raise ValueError unless there is a salt for each partition, or none at all."""
    if salts and len(salts) != partitions:
        raise ValueError(f"it has {partitions} partitions and {len(salts)} salts")


def salts_for(model: str, partitions: int) -> tuple[str, ...]:
    """Choose salts that spread the partitions of a model evenly over the slots, and so over any
    number of shards.

    One partition needs none: its keys stay as they are.

    Examples
    --------
    >>> salts = salts_for("steel", 4)
    >>> [round(slot_of(f"{{steel.{place}.{salt}}}") / SLOTS, 2) for place, salt in enumerate(salts)]
    [0.13, 0.38, 0.63, 0.87]
    """
    if partitions == 1:
        return ()
    return tuple(_salt(model, partition, partitions) for partition in range(partitions))


def slot_of(key: str) -> int:
    """Return the slot of a key (CRC-16/XMODEM of its hash tag, or of all of it if it has none, as
    Redis Cluster specifies).

    Examples
    --------
    >>> slot_of("foo"), slot_of("bar:{foo}:baz")
    (12182, 12182)
    """
    return crc_hqx((key.partition("{")[2].partition("}")[0] or key).encode(), 0) % SLOTS


def _salt(model: str, partition: int, partitions: int) -> str:
    """Find the first number whose slot lies close to the middle of the partition's share."""
    share = SLOTS / partitions
    middle = (partition + 0.5) * share
    return next(
        str(salt)
        for salt in count()
        if abs(slot_of(f"{{{_tag(model, partition, str(salt))}}}") - middle) <= max(share / 64, 4)
    )


def _tag(model: str, partition: int, salt: str) -> str:
    return f"{model}.{partition}.{salt}" if salt else f"{model}.{partition}"
