"""State of the pipeline in Redis: what is counted, what waits, and who owns it; for health, metrics
and watchdog.

Read in three round trips for 50 models, however many partitions they have: their partitions (once),
what each has, and what waits where something does. Nothing is written.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Final, TypeVar

import msgspec
import redis
import redis.asyncio

from driftgauge.producer.reading.model_state import (
    ArchivingState,
    Backlog,
    ModelState,
    PartitionState,
    Position,
)
from driftgauge.shared.archive import archived
from driftgauge.shared.archive.archived import Archived
from driftgauge.shared.contract import counters
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId, exclusive
from driftgauge.shared.contract.events import MONITOR_GROUP
from driftgauge.shared.contract.fault import ARCHIVE, ARCHIVED_PANES, FOLLOWERS, StageFault
from driftgauge.shared.contract.fault import FIELD as FAULT
from driftgauge.shared.contract.keys import Keys, model_names
from driftgauge.shared.contract.refused import Refused, last_hour
from driftgauge.shared.contract.severity import ALERT_SEVERITIES
from driftgauge.shared.contract.snapshot_parts import Brief
from driftgauge.shared.errors import BadData
from driftgauge.shared.losses import HOLES_FIELD, SETBACK_FIELD, Holdings, Hole, Setback, noted
from driftgauge.shared.unpacking import UNREADABLE
from driftgauge.shared.versions.manifest import Shape

MOST_ENTRIES: Final = 1000
"""Most entries that are counted one by one where Redis does not know the lag: before Redis 7, or
after the consumer group was set to an id.
"""
AT_ONCE: Final = 50
"""Models of one round trip: requests wait while their answers are read."""
VERSIONS_TRIED: Final = 3
"""Published versions of a model of which one must be readable."""
MODEL_ASKED: Final = 5 + len(FOLLOWERS)
SCRAPE_ASKED: Final = 3
PARTITION_ASKED: Final = 9
PARTITION_SCRAPE_ASKED: Final = 6
"""Commands that are sent for a model and for each of its partitions, and for those of a scrape."""

_Form = TypeVar("_Form")


class _Judged(msgspec.Struct):
    """Part of judging's checkpoint: its position in the panes, the versions that it has seen and
    those that it judges, and the commands and labels that it could not apply.
    """

    offsets: dict[int, str] = {}
    waiting: dict[int, int] = {}
    rolled_back: dict[int, int] = {}
    commands_refused: int = 0
    dead: int = 0
    labels_too_late: int = 0
    first_seen: dict[str, int] = {}
    last_rows: dict[str, int] = {}

    @property
    def judged(self) -> frozenset[str]:
        return frozenset(self.last_rows)

    @property
    def ended(self) -> frozenset[str]:
        return frozenset(self.first_seen.keys() - self.last_rows.keys())


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
        return model_names(names)

    async def read(
        self, models: Sequence[str], *, most: int = MOST_ENTRIES, scraping: bool = False
    ) -> list[ModelState]:
        """Return the state of some models; a model without a published version has no partitions
        yet, and one that cannot be read has none and says why.

        Parameters
        ----------
        most
            Waiting entries that are counted in a log whose lag Redis does not know; beyond it their
            number is `at least`.
        scraping
            Whether it is for a scrape: it shows the current windows in brief, and not what the
            followers and the archive fail on, how far that is, nor what the API processes refused
            and hold.
        """
        states: list[ModelState] = []
        for start in range(0, len(models), AT_ONCE):
            if start:
                await asyncio.sleep(0)  # requests have their turn
            part = models[start : start + AT_ONCE]
            states += await self._read(part, most=most, scraping=scraping)
        return states

    async def _read(self, models: Sequence[str], *, most: int, scraping: bool) -> list[ModelState]:
        unreadable = await self._learn(models)
        pipe = self._client.pipeline(transaction=False)
        pipe.time()
        for model in models:
            self._ask_model(pipe, model, scraping=scraping)
        replies = iter(await pipe.execute(raise_on_error=False))
        seconds, micros = _sound(next(replies))
        now_ms = seconds * 1000 + micros // 1000
        asked = SCRAPE_ASKED if scraping else MODEL_ASKED
        of_each = PARTITION_SCRAPE_ASKED if scraping else PARTITION_ASKED
        answers = [
            _ModelAnswer.of(
                list(islice(replies, asked + of_each * len(counts))),
                self._keys_of(model),
                model,
                len(counts),
                unreadable.get(model, ""),
                scraping=scraping,
            )
            for model in models
            for counts in (self._counts(model),)
        ]
        asked_of = [
            (self._keys_of(model).log(model, number), partition)
            for model, answer in zip(models, answers, strict=True)
            for number, partition in enumerate(answer.partitions)
        ]
        waiting = iter(await self._waiting(asked_of, most))
        return [
            answer.state(model, now_ms, waiting)
            for model, answer in zip(models, answers, strict=True)
        ]

    async def logs(self, model: str) -> list[str]:
        """Name the log of each of a model's partitions; none before a version of it was
        published.
        """
        return await self._named(model, Keys.log)

    async def archives(self, model: str) -> list[str]:
        """Name the hash of each of a model's partitions that tells how far it was archived."""
        return await self._named(model, Keys.archive)

    async def panes(self, model: str) -> list[str]:
        """Name the panes of each of a model's partitions, in their order."""
        return await self._named(model, Keys.panes)

    async def checkpoints(self, model: str) -> list[str]:
        """Name the checkpoints of counting each of a model's partitions, and of judging it."""
        counts = await self._named(model, Keys.count)
        return [*counts, self._keys_of(model).judge(model)]

    async def _named(self, model: str, key: Callable[[Keys, str, int], str]) -> list[str]:
        """Name a key of each of a model's partitions."""
        for unreadable in (await self._learn([model])).values():
            raise BadData(unreadable)
        return self._each(model, key)

    async def _learn(self, models: Sequence[str]) -> dict[str, str]:
        """Read the number of partitions of models that were not met before, from any published
        version that can be read; return why that of some models cannot.
        """
        unknown = [model for model in models if model not in self._known]
        if not unknown:
            return {}
        pipe = self._client.pipeline(transaction=False)
        for model in unknown:
            pipe.hrandfield(self._keys.versions(model), VERSIONS_TRIED, withvalues=True)
        unreadable = {}
        for model, reply in zip(unknown, await pipe.execute(raise_on_error=False), strict=True):
            try:
                shape = _shape(self._keys.versions(model), (_sound(reply) or ())[1::2])
            except (redis.ResponseError, BadData) as error:
                unreadable[model] = str(error)
            else:
                if shape is not None:
                    self._known[model] = self._keys.salted(shape.salts)
                    self._partitions[model] = shape.partitions
        return unreadable

    def _counts(self, model: str) -> list[str]:
        """Name the checkpoint of each of a model's partitions."""
        return self._each(model, Keys.count)

    def _each(self, model: str, key: Callable[[Keys, str, int], str]) -> list[str]:
        keys, partitions = self._keys_of(model), range(self._partitions.get(model, 0))
        return [key(keys, model, partition) for partition in partitions]

    def _keys_of(self, model: str) -> Keys:
        return self._known.get(model, self._keys)

    def _ask_model(self, pipe: Any, model: str, *, scraping: bool) -> None:
        keys = self._keys_of(model)
        pipe.exists(keys.judge_owner(model))
        pipe.hmget(keys.judge(model), "state", "commit", FAULT, SETBACK_FIELD)
        if scraping:
            pipe.hvals(keys.brief(model))
        else:
            for follower in FOLLOWERS:
                pipe.hget(keys.follower(model, follower), FAULT)
            pipe.hvals(keys.refused(model))
            pipe.hvals(keys.refused_labels(model))
            pipe.hvals(keys.held(model))
        for partition, checkpoint in enumerate(self._counts(model)):
            log = keys.log(model, partition)
            pipe.hmget(
                checkpoint, "offset", counters.FIELD, "commit", HOLES_FIELD, FAULT, SETBACK_FIELD
            )
            pipe.exists(keys.owner(model, partition))
            pipe.xlen(keys.dead(model, partition))
            pipe.xinfo_groups(log)
            pipe.xinfo_stream(log)
            pipe.xinfo_stream(keys.panes(model, partition))
            if scraping:
                continue
            pipe.hmget(keys.archive(model, partition), FAULT, archived.OFFSET, archived.STATE)
            pipe.exists(keys.archive_owner(model, partition))
            pipe.hget(keys.follower(model, ARCHIVED_PANES, partition), FAULT)

    async def _waiting(
        self, asked: Sequence[tuple[str, "_PartitionAnswer"]], most: int
    ) -> list["_Waiting"]:
        """Look into the logs where something waits to be counted or archived."""
        behind = [(log, answer) for log, answer in asked if answer.behind]
        late = [(log, answer) for log, answer in asked if answer.archive_behind]
        if not behind and not late:
            return [_Waiting(Backlog(), answer.archiving([])) for _, answer in asked]
        pipe = self._client.pipeline(transaction=False)
        for log, answer in behind:
            pipe.xrange(
                log, min=exclusive(answer.offset), count=most + 1 if answer.lag is None else 1
            )
        for log, answer in late:
            pipe.xrange(log, min=exclusive(answer.archive.offset or BEGINNING), count=1)
        replies = iter(await pipe.execute())
        found = {log: next(replies) for log, _ in behind}
        unarchived = {log: next(replies) for log, _ in late}
        return [
            _Waiting(
                answer.backlog(found.get(log, []), most), answer.archiving(unarchived.get(log, []))
            )
            for log, answer in asked
        ]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What of a partition waits to be counted, and to be archived."""

    backlog: Backlog
    archiving: ArchivingState | None


@dataclass(frozen=True, slots=True)
class _ArchiveAnswer:
    """Replies of Redis about the archiving of one partition; as it is where nothing is archived."""

    offset: str | None = None
    missing: int = 0
    owned: bool = False
    faults: Sequence[StageFault] = ()

    @classmethod
    def take(cls, replies: Iterator[Any]) -> "_ArchiveAnswer":
        (fault, offset, state), owned, of_panes = (_sound(next(replies)) for _ in range(3))
        return cls(
            None if offset is None else offset.decode(),
            (_decoded(state, Archived) or Archived()).missing,
            bool(owned),
            list(_all_decoded([one for one in (fault, of_panes) if one], StageFault)),
        )


@dataclass(frozen=True, slots=True)
class _PartitionAnswer:
    """Replies of Redis about one partition."""

    log: str
    offset: str
    counted: dict[str, Any]
    counters: Counters
    owned: bool
    dead: int
    lag: int | None
    last: str
    last_pane: str
    fault: StageFault | None
    setbacks: tuple[Setback, ...]
    holes: tuple[Hole, ...]
    positions: tuple[Position, ...]
    archive: "_ArchiveAnswer"

    @classmethod
    def take(
        cls, replies: Iterator[Any], keys: Keys, model: str, place: int, *, scraping: bool
    ) -> "_PartitionAnswer":
        offset, packed, commit, holes, fault, setback = _sound(next(replies))
        key, log, panes = (of(model, place) for of in (keys.count, keys.log, keys.panes))
        counted, known = _counted(key, packed)
        owned, dead = _sound(next(replies)), _sound(next(replies))
        groups = next(replies)
        last, pane = _last_id(next(replies)), _last_id(next(replies))
        return cls(
            log=log,
            offset=(offset or BEGINNING.encode()).decode(),
            counted=counted,
            counters=known,
            owned=bool(owned),
            dead=dead,
            lag=None
            if isinstance(groups, Exception)
            else _known_lag(groups),  # a log that does not exist has no groups
            last=str(last),
            last_pane=str(pane),
            fault=_decoded(fault, StageFault),
            setbacks=tuple(noted(setback)),
            holes=tuple(_decoded(holes, list[Hole]) or ()),
            positions=(
                Position(key, "commit", (int(commit or 0), 0), known.events),
                Position(log, "entry", last),
                Position(panes, "entry", pane),
            ),
            archive=_ArchiveAnswer() if scraping else _ArchiveAnswer.take(replies),
        )

    @property
    def behind(self) -> bool:
        return EntryId.parse(self.last) > EntryId.parse(self.offset)

    @property
    def archive_behind(self) -> bool:
        """Whether something was counted that is not archived."""
        reached = self.archive.offset
        return reached is not None and EntryId.parse(self.offset) > EntryId.parse(reached)

    def archiving(self, entries: Sequence[Any]) -> ArchivingState | None:
        """Return how far it is archived; `entries` begins with the oldest one that is not."""
        if self.archive.offset is None:
            return None
        oldest = EntryId.parse(entries[0][0]).ms if entries else None
        return ArchivingState(self.archive.owned, self.archive.missing, oldest)

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

    def state(self, partition: int, waiting: _Waiting, progress: _Judged | None) -> PartitionState:
        judged = None if progress is None else progress.offsets.get(partition, BEGINNING)
        return PartitionState(
            partition=partition,
            counters=self.counters,
            counted=self.counted,
            owned=self.owned,
            offset=self.offset,
            backlog=waiting.backlog,
            dead_letters=self.dead,
            judged=judged,
            panes_behind=None if judged is None else self._panes_behind(judged),
            waiting=0 if progress is None else progress.waiting.get(partition, 0),
            rolled_back=0 if progress is None else progress.rolled_back.get(partition, 0),
            fault=self.fault,
            log=self.log,
            holes=self.holes,
            setbacks=self.setbacks,
            archiving=waiting.archiving,
        )

    def _panes_behind(self, judged: str) -> int:
        last, done = EntryId.parse(self.last_pane), EntryId.parse(judged)
        return max(last.ms - done.ms, int(last > done))


@dataclass(frozen=True, slots=True)
class _ModelAnswer:
    """Replies of Redis about one model; `unreadable` says why there are none."""

    unreadable: str = ""
    judging_owned: bool = False
    judged: _Judged | None = None
    fault: StageFault | None = None
    setbacks: tuple[Setback, ...] = ()
    followers: Mapping[str, StageFault] = field(default_factory=dict)
    refused: Sequence[bytes] = ()
    refused_labels: Sequence[bytes] = ()
    held: Sequence[bytes] = ()
    current: Sequence[bytes] = ()
    judging: tuple[Position, ...] = ()
    partitions: Sequence[_PartitionAnswer] = ()

    @classmethod
    def of(
        cls,
        replies: Sequence[Any],
        keys: Keys,
        model: str,
        partitions: int,
        unreadable: str,
        *,
        scraping: bool,
    ) -> "_ModelAnswer":
        """Read the replies; one that cannot be read costs its own model alone."""
        if unreadable:
            return cls(unreadable)
        try:
            return cls._take(iter(replies), keys, model, partitions, scraping=scraping)
        except (redis.ResponseError, *UNREADABLE) as error:
            return cls(str(error))

    @classmethod
    def _take(
        cls, replies: Iterator[Any], keys: Keys, model: str, partitions: int, *, scraping: bool
    ) -> "_ModelAnswer":
        owned, (state, commit, fault, setback) = bool(_sound(next(replies))), _sound(next(replies))
        current = _sound(next(replies)) if scraping else []
        faults = [] if scraping else [(name, _sound(next(replies))) for name in FOLLOWERS]
        refused, refused_labels, held = (
            () if scraping else _sound(next(replies)) for _ in range(3)
        )
        return cls(
            judging_owned=owned,
            judged=_judged(state),
            fault=_decoded(fault, StageFault),
            setbacks=tuple(noted(setback)),
            followers={
                name: found
                for name, packed in faults
                if (found := _decoded(packed, StageFault)) is not None
            },
            refused=refused,
            refused_labels=refused_labels,
            held=held,
            current=current,
            judging=(Position(keys.judge(model), "commit", (int(commit or 0), 0)),),
            partitions=[
                _PartitionAnswer.take(replies, keys, model, place, scraping=scraping)
                for place in range(partitions)
            ],
        )

    @property
    def _follower_faults(self) -> Mapping[str, StageFault]:
        """The faults of the followers; of archiving that of the partition that failed last."""
        found = [fault for one in self.partitions for fault in one.archive.faults]
        if not found:
            return self.followers
        open_ = [fault for fault in found if not fault.over] or found
        return {**self.followers, ARCHIVE: max(open_, key=lambda fault: fault.at)}

    def state(self, model: str, now_ms: int, waiting: Iterator[_Waiting]) -> ModelState:
        partitions = tuple(
            answer.state(number, next(waiting), self.judged)
            for number, answer in enumerate(self.partitions)
        )
        judged = self.judged or _Judged()
        return ModelState(
            model,
            now_ms,
            partitions,
            self.judging_owned,
            _firing(self.current),
            judged.commands_refused,
            last_hour(_all_decoded(self.refused, Refused), now_ms),
            last_hour(_all_decoded(self.refused_labels, Refused), now_ms),
            judged.dead,
            self.fault,
            judged.labels_too_late,
            self._follower_faults,
            self.setbacks,
            tuple(_all_decoded(self.held, Holdings)),
            tuple(
                chain.from_iterable(
                    (self.judging, *(answer.positions for answer in self.partitions))
                )
            ),
            self.unreadable,
            judged.judged,
            judged.ended,
        )


def _shape(key: str, versions: Sequence[bytes]) -> Shape | None:
    """Read the shape of a model from its first readable published version; None without any
    version.
    """
    failed: Exception | None = None
    for packed in versions:
        try:
            return Shape.of(packed)
        except UNREADABLE as error:
            failed = error
    if failed is not None:
        raise BadData(
            f"{key} holds no published version that can be read: {failed}. Publish one again: "
            f"start the API with the registry folder that has it."
        )
    return None


def _counted(key: str, packed: bytes | None) -> tuple[dict[str, Any], Counters]:
    """Read the counters: all that counting wrote, and those that are known here."""
    try:
        counted = msgspec.json.decode(packed, type=dict[str, Any]) if packed else {}
        return counted, msgspec.convert(counted, Counters)
    except UNREADABLE as error:
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


def _last_id(reply: Any) -> EntryId:
    """Return the last id that a stream generated; the beginning for one that is not there."""
    if isinstance(reply, redis.ResponseError) and str(reply).startswith("no such key"):
        return EntryId(0, 0)
    return EntryId.parse(_sound(reply)["last-generated-id"])


def _decoded(packed: bytes | None, form: type[_Form]) -> _Form | None:
    """Read what another process told; None if it told nothing, or another version wrote it: the
    next one replaces it.
    """
    try:
        return None if packed is None else msgspec.json.decode(packed, type=form)
    except UNREADABLE:
        return None


def _all_decoded(packed: Iterable[bytes], form: type[_Form]) -> Iterator[_Form]:
    """Read what the API processes told; what is of another version is left out."""
    return (found for one in packed if (found := _decoded(one, form)) is not None)


def _judged(packed: bytes | None) -> _Judged | None:
    """Read judging's offsets; None if another version wrote them."""
    try:
        return _Judged() if packed is None else msgspec.json.decode(packed, type=_Judged)
    except UNREADABLE:  # shown as unknown: the rest of the state is still of use
        return None


def _firing(current: Iterable[bytes]) -> dict[tuple[str, str], int]:
    """Return the number of firing alerts in the current windows by version and severity; each
    version has both, 0 too.
    """
    found: dict[tuple[str, str], int] = {}
    for packed in current:
        try:
            brief = msgspec.json.decode(packed, type=Brief)
        except UNREADABLE:  # written by another version; /drift says so
            continue
        for severity in ALERT_SEVERITIES:
            found[brief.version, severity] = brief.firing.get(severity, 0)
    return found
