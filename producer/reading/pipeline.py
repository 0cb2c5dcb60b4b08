"""State of the pipeline in Redis: what is counted, what waits, and who owns it; for health, metrics
and watchdog.

Read in three round trips, however many models and partitions there are: their partitions (once),
what each has, and what waits where something does. Nothing is written.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from gzip import decompress
from typing import Any, Final

import msgspec
import redis.asyncio

from driftgauge.shared.contract import counters
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId, exclusive
from driftgauge.shared.contract.events import MONITOR_GROUP
from driftgauge.shared.contract.fault import FIELD as FAULT
from driftgauge.shared.contract.fault import FOLLOWERS, StageFault
from driftgauge.shared.contract.keys import MODEL_NAME, Keys
from driftgauge.shared.contract.refused import Refused, RefusedHour, last_hour
from driftgauge.shared.contract.severity import ALERT_SEVERITIES
from driftgauge.shared.contract.snapshot_parts import CurrentState
from driftgauge.shared.errors import BadData

MOST_ENTRIES: Final = 1000
"""Most entries that are counted one by one where Redis does not know the lag: before Redis 7, or
after the consumer group was set to an id.
"""


class _Partitions(msgspec.Struct):
    partitions: int = 1
    salts: tuple[str, ...] = ()


class _Published(msgspec.Struct):
    manifest: _Partitions


class _Judged(msgspec.Struct):
    """Part of judging's checkpoint: its position in the panes, and the commands and labels that it
    could not apply.
    """

    offsets: dict[int, str] = {}
    waiting: dict[int, int] = {}
    rolled_back: dict[int, int] = {}
    commands_refused: int = 0
    dead: int = 0
    labels_too_late: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """Entries of a log that wait to be counted.

    Parameters
    ----------
    entries
        Entries after the worker's offset: their number if `exact`, else a lower bound.
    seconds
        Entry time (s) between the offset and the last entry: how far the counts are behind the log.
    oldest_ms
        Entry time (ms) of the oldest waiting entry; None if nothing waits.
    """

    entries: int = 0
    exact: bool = True
    seconds: float = 0.0
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class PartitionState:
    """State of a partition in Redis.

    Parameters
    ----------
    counted
        All of counting's counters, as it wrote them.
    offset
        Id of the last counted entry.
    dead_letters
        Entries kept in the dead-letter stream, which is capped; `counters.dead` counts all.
    judged
        Id of the last panes entry that was judged; None if judging's checkpoint cannot be read.
    panes_behind
        Closed panes that judging has not read, 1 if it only has not read an alarm or late labels
        after them; None if judging's checkpoint cannot be read.
    waiting
        Panes and late labels that judging has read and that wait for earlier ones of other
        partitions.
    rolled_back
        How often the partition's panes went back to an older state.
    fault
        What counting it failed on last; None if it never did.
    """

    partition: int
    counters: Counters
    counted: dict[str, Any]
    owned: bool
    offset: str
    backlog: Backlog
    dead_letters: int
    judged: str | None
    panes_behind: int | None
    waiting: int = 0
    rolled_back: int = 0
    fault: StageFault | None = None


@dataclass(frozen=True, slots=True)
class ModelState:
    """State of a model in Redis; `now_ms` is Redis's clock, which makes the entries' ids."""

    model: str
    now_ms: int
    partitions: tuple[PartitionState, ...]
    judging_owned: bool
    firing: dict[tuple[str, str], int]
    """Firing drift alerts by version and severity, as of the current snapshots."""
    commands_refused: int = 0
    refused: RefusedHour = field(default_factory=RefusedHour)
    """Events that the API processes took and refused within the last hour."""
    refused_labels: RefusedHour = field(default_factory=RefusedHour)
    """The same of labels."""
    judging_dead: int = 0
    """Entries of the panes that judging could not process, and put to the dead letters."""
    judging_fault: StageFault | None = None
    """What judging failed on last; None if it never did."""
    labels_too_late: int = 0
    """Labels whose day is not kept any more: they changed nothing."""
    follower_faults: Mapping[str, StageFault] = field(default_factory=dict)
    """What followers failed on last, such as `reports`, by name; those that never did are not in
    it.
    """

    @property
    def events(self) -> int:
        return sum(partition.counters.events for partition in self.partitions)


class Pipeline:
    """Reads the state of the models.

    Parameters
    ----------
    client
        Client without retries and with bytes replies.
    """

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._known: dict[str, Keys] = {}  # number and salts of a model's partitions never change
        self._partitions: dict[str, int] = {}

    async def models(self) -> list[str]:
        """Return the models that exist in Redis; what cannot be a model's name was written by
        hand.
        """
        names: Any = await self._client.smembers(self._keys.models)
        return sorted(
            name
            for packed in names
            if MODEL_NAME.fullmatch(name := packed.decode(errors="replace"))
        )

    async def read(
        self, models: Sequence[str], *, most: int = MOST_ENTRIES, current: bool = False
    ) -> list[ModelState]:
        """Return the state of some models; a model without a published version has no partitions
        yet.

        Parameters
        ----------
        most
            Waiting entries that are counted in a log whose lag Redis does not know; beyond it their
            number is `at least`.
        current
            Whether to read the current snapshots for their alerts too.

        Raises
        ------
        BadData
            If what a model has in Redis cannot be read.
        """
        await self._learn(models)
        pipe = self._client.pipeline(transaction=False)
        pipe.time()
        for model in models:
            self._ask_model(pipe, model, current=current)
        replies = iter(await pipe.execute(raise_on_error=False))
        seconds, micros = _sound(next(replies))
        now_ms = seconds * 1000 + micros // 1000
        answers = [
            _ModelAnswer.take(replies, self._counts(model), current=current) for model in models
        ]
        waiting = [
            (self._keys_of(model).log(model, number), partition)
            for model, answer in zip(models, answers, strict=True)
            for number, partition in enumerate(answer.partitions)
        ]
        backlogs = iter(await self._backlogs(waiting, most))
        return [
            answer.state(model, now_ms, backlogs)
            for model, answer in zip(models, answers, strict=True)
        ]

    async def logs(self, model: str) -> list[str]:
        """Name the log of each of a model's partitions; none before a version of it was
        published.
        """
        await self._learn([model])
        keys = self._keys_of(model)
        return [keys.log(model, partition) for partition in range(self._partitions.get(model, 0))]

    async def checkpoints(self, model: str) -> list[str]:
        """Name the checkpoints of counting each of a model's partitions, and of judging it."""
        await self._learn([model])
        return [*self._counts(model), self._keys_of(model).judge(model)]

    async def _learn(self, models: Sequence[str]) -> None:
        """Read the number of partitions of models that were not met before, from any published
        version.
        """
        unknown = [model for model in models if model not in self._known]
        if not unknown:
            return
        pipe = self._client.pipeline(transaction=False)
        for model in unknown:
            pipe.hrandfield(self._keys.versions(model), 1, withvalues=True)
        for model, reply in zip(unknown, await pipe.execute(), strict=True):
            if reply:
                manifest = _manifest(self._keys.versions(model), reply[1])
                self._known[model] = self._keys.salted(manifest.salts)
                self._partitions[model] = manifest.partitions

    def _counts(self, model: str) -> list[str]:
        """Name the checkpoint of each of a model's partitions."""
        keys = self._keys_of(model)
        return [keys.count(model, partition) for partition in range(self._partitions.get(model, 0))]

    def _keys_of(self, model: str) -> Keys:
        return self._known.get(model, self._keys)

    def _ask_model(self, pipe: Any, model: str, *, current: bool) -> None:
        keys = self._keys_of(model)
        pipe.exists(keys.judge_owner(model))
        pipe.hmget(keys.judge(model), "state", FAULT)
        for follower in FOLLOWERS:
            pipe.hget(keys.follower(model, follower), FAULT)
        pipe.hvals(keys.refused(model))
        pipe.hvals(keys.refused_labels(model))
        if current:
            pipe.hvals(keys.current(model))
        for partition, checkpoint in enumerate(self._counts(model)):
            log = keys.log(model, partition)
            pipe.hmget(checkpoint, "offset", counters.FIELD, FAULT)
            pipe.exists(keys.owner(model, partition))
            pipe.xlen(keys.dead(model, partition))
            pipe.xinfo_groups(log)
            pipe.xrevrange(log, count=1)
            pipe.xrevrange(keys.panes(model, partition), count=1)

    async def _backlogs(
        self, asked: Sequence[tuple[str, "_PartitionAnswer"]], most: int
    ) -> list[Backlog]:
        """Look into the logs where something waits."""
        behind = [(log, answer) for log, answer in asked if answer.behind]
        if not behind:
            return [Backlog()] * len(asked)
        pipe = self._client.pipeline(transaction=False)
        for log, answer in behind:
            pipe.xrange(
                log, min=exclusive(answer.offset), count=most + 1 if answer.lag is None else 1
            )
        found = dict(zip((log for log, _ in behind), await pipe.execute(), strict=True))
        return [answer.backlog(found.get(log, []), most) for log, answer in asked]


@dataclass(frozen=True, slots=True)
class _PartitionAnswer:
    """Replies of Redis about one partition."""

    offset: str
    counted: dict[str, Any]
    counters: Counters
    owned: bool
    dead: int
    lag: int | None
    last: str
    last_pane: str
    fault: StageFault | None

    @classmethod
    def take(cls, replies: Iterator[Any], key: str) -> "_PartitionAnswer":
        offset, packed, fault = _sound(next(replies))
        counted, known = _counted(key, packed)
        owned, dead = _sound(next(replies)), _sound(next(replies))
        groups = next(replies)
        last, pane = _sound(next(replies)), _sound(next(replies))
        return cls(
            offset=(offset or BEGINNING.encode()).decode(),
            counted=counted,
            counters=known,
            owned=bool(owned),
            dead=dead,
            lag=None
            if isinstance(groups, Exception)
            else _known_lag(groups),  # a log that does not exist has no groups
            last=last[0][0].decode() if last else BEGINNING,
            last_pane=pane[0][0].decode() if pane else BEGINNING,
            fault=_fault(fault),
        )

    @property
    def behind(self) -> bool:
        return EntryId.parse(self.last) > EntryId.parse(self.offset)

    def backlog(self, entries: Sequence[Any], most: int) -> Backlog:
        if not entries:
            return Backlog()
        oldest = EntryId.parse(entries[0][0]).ms
        # where nothing was counted yet: behind by all that there is
        start = EntryId.parse(self.offset).ms or oldest
        return Backlog(
            entries=min(len(entries), most) if self.lag is None else max(self.lag, 1),
            exact=self.lag is not None or len(entries) <= most,
            seconds=(EntryId.parse(self.last).ms - start) / 1000,
            oldest_ms=oldest,
        )

    def state(self, partition: int, backlog: Backlog, progress: _Judged | None) -> PartitionState:
        judged = None if progress is None else progress.offsets.get(partition, BEGINNING)
        return PartitionState(
            partition=partition,
            counters=self.counters,
            counted=self.counted,
            owned=self.owned,
            offset=self.offset,
            backlog=backlog,
            dead_letters=self.dead,
            judged=judged,
            panes_behind=None if judged is None else self._panes_behind(judged),
            waiting=0 if progress is None else progress.waiting.get(partition, 0),
            rolled_back=0 if progress is None else progress.rolled_back.get(partition, 0),
            fault=self.fault,
        )

    def _panes_behind(self, judged: str) -> int:
        last, done = EntryId.parse(self.last_pane), EntryId.parse(judged)
        return max(last.ms - done.ms, int(last > done))


@dataclass(frozen=True, slots=True)
class _ModelAnswer:
    """Replies of Redis about one model."""

    judging_owned: bool
    judged: _Judged | None
    fault: StageFault | None
    followers: dict[str, StageFault]
    refused: list[bytes]
    refused_labels: list[bytes]
    current: list[bytes]
    partitions: list[_PartitionAnswer]

    @classmethod
    def take(cls, replies: Iterator[Any], keys: Sequence[str], *, current: bool) -> "_ModelAnswer":
        owned, (state, fault) = bool(_sound(next(replies))), _sound(next(replies))
        return cls(
            judging_owned=owned,
            judged=_judged(state),
            fault=_fault(fault),
            followers={
                name: found
                for name in FOLLOWERS
                if (found := _fault(_sound(next(replies)))) is not None
            },
            refused=_sound(next(replies)),
            refused_labels=_sound(next(replies)),
            current=_sound(next(replies)) if current else [],
            partitions=[_PartitionAnswer.take(replies, key) for key in keys],
        )

    def state(self, model: str, now_ms: int, backlogs: Iterator[Backlog]) -> ModelState:
        partitions = (
            answer.state(number, next(backlogs), self.judged)
            for number, answer in enumerate(self.partitions)
        )
        judged = self.judged or _Judged()
        return ModelState(
            model,
            now_ms,
            tuple(partitions),
            self.judging_owned,
            _firing(self.current),
            judged.commands_refused,
            last_hour(_told(self.refused), now_ms),
            last_hour(_told(self.refused_labels), now_ms),
            judged.dead,
            self.fault,
            judged.labels_too_late,
            self.followers,
        )


def _manifest(key: str, packed: bytes) -> _Partitions:
    """Read what a published version says of its model's partitions."""
    try:
        return msgspec.json.decode(decompress(packed), type=_Published).manifest
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise BadData(
            f"{key} holds no published version: {error}. Move it away; the API publishes its "
            f"versions again."
        ) from error


def _counted(key: str, packed: bytes | None) -> tuple[dict[str, Any], Counters]:
    """Read the counters: all that counting wrote, and those that are known here."""
    try:
        counted = msgspec.json.decode(packed, type=dict[str, Any]) if packed else {}
        return counted, msgspec.convert(counted, Counters)
    except msgspec.MsgspecError as error:
        raise BadData(
            f"The counters of {key} cannot be read: {error}. Did another version of Driftgauge "
            f"write them?"
        ) from error


def _sound(reply: Any) -> Any:
    """Return a reply that is no error; raise one that is."""
    if isinstance(reply, Exception):
        raise reply
    return reply


def _known_lag(groups: Sequence[Any]) -> int | None:
    """Return the lag that Redis knows: from Redis 7 on, and not right after the group was set to an
    id.
    """
    lags = [group.get("lag") for group in groups if group["name"] == MONITOR_GROUP.encode()]
    return int(lags[0]) if lags and lags[0] is not None else None


def _fault(packed: bytes | None) -> StageFault | None:
    """Read the fault of a stage; None if another version wrote it: the next one replaces it."""
    try:
        return None if packed is None else msgspec.json.decode(packed, type=StageFault)
    except msgspec.MsgspecError:
        return None


def _judged(packed: bytes | None) -> _Judged | None:
    """Read judging's offsets; None if another version wrote them."""
    try:
        return _Judged() if packed is None else msgspec.json.decode(packed, type=_Judged)
    except msgspec.MsgspecError:  # shown as unknown: the rest of the state is still of use
        return None


def _told(packed: Iterable[bytes]) -> Iterator[Refused]:
    """Read the counts of the API processes; those of another version are left out."""
    for one in packed:
        with suppress(msgspec.MsgspecError):
            yield msgspec.json.decode(one, type=Refused)


def _firing(current: Iterable[bytes]) -> dict[tuple[str, str], int]:
    """Count the firing alerts of the current snapshots by version and severity; each version has
    both, 0 too.
    """
    found: dict[tuple[str, str], int] = {}
    for packed in current:
        try:
            state = msgspec.json.decode(packed, type=CurrentState)
        except msgspec.MsgspecError:  # written by another version; /drift says so
            continue
        for severity in ALERT_SEVERITIES:
            alerts = [
                alert
                for alert in state.alerts
                if alert.state == "firing" and alert.severity == severity
            ]
            found[state.version, severity] = len(alerts)
    return found
