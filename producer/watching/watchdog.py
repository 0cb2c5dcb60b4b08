"""The watchdog: a task in each API process that observes the pipeline at regular times and raises
the "monitor blind" alerts.

Any number of processes may run; one at a time observes a model. Theory of operation:

- A model's lease, its memory and the numbers of dropped events are fields of one hash. The process
  issues WATCH, reads the hash and the pipeline, and writes the new memory, the lease and the alerts
  in one transaction. So a transition is written once, whoever holds the lease, which only saves the
  others the work.
- Models are looked at some at a time, with the same few round trips for all of them; if that fails,
  since another process was faster or one cannot be read, one by one. The more models there are, the
  longer are the pauses, so that looking takes a small share of the process.
- No state is kept in the process. After an EXEC without an answer the next observation starts from
  what Redis holds. But what was found to have gone back is kept for a while outside of Redis
  (shared/stamps.py), since Redis may go back once more, and forget that it was told.
- Every time is Redis's, so the clocks of the API hosts do not matter.
- It has connections of its own, and short timeouts. A look that fails is named and tried again
  (producer/supervision.py).
"""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, TypeVar

import msgspec
import redis
import redis.asyncio

from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.reading.model_state import ModelState
from driftgauge.producer.reading.notifications import NotificationRoute, routes, setbacks
from driftgauge.producer.reading.pipeline import Pipeline
from driftgauge.producer.scoring.scorer import Hang
from driftgauge.producer.supervision import Supervised, Supervisor, stopped
from driftgauge.producer.watching import blind
from driftgauge.producer.watching.incidents import incident_of
from driftgauge.producer.watching.notification import assess
from driftgauge.producer.watching.observation import Dropped, Hanging, Memory, Observation
from driftgauge.producer.watching.workers import DEAD_AFTER_LEASES, Workers
from driftgauge.shared.connections.cluster import is_cluster
from driftgauge.shared.connections.cluster_client import open_client, transaction
from driftgauge.shared.connections.incidents import queue_incident
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.connections.refusals import eviction
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.alerts import ALERTS_KEPT, cloud_event
from driftgauge.shared.contract.commands import Acknowledge
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import ROUTE_SEGMENT
from driftgauge.shared.contract.refused import HOUR_MS, Refused
from driftgauge.shared.errors import BadData
from driftgauge.shared.losses import Held, Holdings, Setback
from driftgauge.shared.policies.agreed import refused_in
from driftgauge.shared.rules import rule_of
from driftgauge.shared.rules.monitor import BLIND
from driftgauge.shared.settings import Settings
from driftgauge.shared.stamps import KEPT_S, Stamps
from driftgauge.shared.unpacking import UNREADABLE

NAME: Final = "watchdog"
TIMEOUT_S: Final = 5.0
"""Longest time (s) for a few round trips. There is no timeout for each answer, since a timer for
each of a thousand models' answers takes more than reading it.
"""
LEASE_CHECKS: Final = 3
"""Observations that the holder may miss before another process takes over."""
FORGET_DROPPED_MS: Final = 86_400_000
FORGET_REFUSED_MS: Final = 2 * HOUR_MS
FORGET_HELD_MS: Final = 30 * 86_400_000
DROPPED: Final = b"dropped:"
HANGING: Final = b"hanging:"
BACK: Final = b"back:"
ACKNOWLEDGED: Final = b"acknowledged:"
AT_ONCE: Final = 25
"""Models of one round trip: requests wait while their answers are read."""
SHARE: Final = 0.02
"""Largest share of a core that looking takes, while the pauses are shorter than `LONGEST_PAUSE_S`.
"""
LONGEST_PAUSE_S: Final = 15.0
MOST_HELD: Final = 1000
"""Most runs of numbers that a process says to hold of a model's events."""
LIVING_S: Final = 25.0
"""Least time (s) for which a process counts as living after it told what it holds."""

logger = logging.getLogger("driftgauge.producer")

_Form = TypeVar("_Form")


class Lease(msgspec.Struct, frozen=True):
    """The process that observes a model, and the time (ms) until which it does."""

    token: str
    until: int


class Watchdog:
    """Watches every model that exists in Redis.

    Parameters
    ----------
    dropped
        What this process dropped, by reason.
    refusals, labels
        Events and labels that it took and refused, by model.
    served
        Models that this process serves. It is unknown whose events were dropped, so each of them
        gets the alert.
    hanging
        Returns the model calls of this process that do not return, by model.
    held
        Returns what this process holds of the events of each model.
    stamps
        How far the API processes of this host have seen the models' keys; None compares none.
    clock
        Clock in ms instead of Redis's, for tests.

    Attributes
    ----------
    blinding
        By model why it is not monitored now, in words, whichever process found it.
    looked
        Whether a look succeeded since this process began.
    workers
        Whether a worker lives, as of the last look.
    refused_policies
        Which policy files workers refuse, and why, in sentences.
    silent_routes
        Which routes of notifications do not get through, and why, in sentences.
    """

    def __init__(
        self,
        settings: Settings,
        dropped: Mapping[str, int],
        refusals: Refusals,
        served: Collection[str],
        clock: Callable[[], int] | None = None,
        *,
        labels: Refusals | None = None,
        hanging: Callable[[], Mapping[str, Hang]] = dict,
        held: Callable[[], Mapping[str, Sequence[Held]]] = dict,
        stamps: Stamps | None = None,
    ) -> None:
        self.blinding: dict[str, list[str]] = {}
        self.looked = False
        self.refused_policies: list[str] = []
        self.silent_routes: list[str] = []
        self.workers = Workers(DEAD_AFTER_LEASES * settings.lease_ms / 1000)
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._client = open_client(settings.redis_url, socket_timeout=None)
        # models of a cluster lie in several slots, and a transaction in one
        self._at_once = 1 if is_cluster(settings.redis_url) else AT_ONCE
        self._pipeline = Pipeline(self._client, self._keys)
        self._dropped = dropped
        self._refusals = {self._keys.refused: refusals}
        if labels is not None:
            self._refusals[self._keys.refused_labels] = labels
        self._served = served
        self._hanging = hanging
        self._held = held
        self._holding: set[str] = set()
        self._stamps = stamps
        self._compared: set[str] = set()
        self._clock = clock
        self._token = secrets.token_hex(8)
        self._told: dict[str, Dropped] = {}
        self._known: set[str] = set()
        self._evicts = ""
        self._routes: list[NotificationRoute] = []
        self._noted: list[Setback] = []
        self._first = ""
        self._pause_s = settings.watchdog_seconds
        self._state: Supervised | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def fault(self) -> str:
        """Why the last look failed; empty if it did not."""
        return "" if self._state is None else self._state.fault

    def start(self, supervisor: Supervisor) -> None:
        """Start watching; needs no Redis yet."""
        self._state = supervisor.watched(NAME)
        self._task = supervisor.keep(NAME, self._look, self._settings.watchdog_seconds)

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            await stopped(self._task)
        await self._client.aclose()
        if self._stamps is not None:
            await asyncio.to_thread(self._stamps.save, now=True)

    async def _look(self) -> None:
        begun_s = time.thread_time()
        await self.check()
        self.looked = True
        usual_s = self._settings.watchdog_seconds
        cost_s = (time.thread_time() - begun_s) / SHARE
        self._pause_s = max(usual_s, min(cost_s, LONGEST_PAUSE_S))
        await asyncio.sleep(self._pause_s - usual_s)

    @property
    def _lease_ms(self) -> int:
        """Time (ms) for which a model is taken: some looks may be missed."""
        return int(LEASE_CHECKS * self._pause_s * 1000)

    @property
    def _longest_lease_ms(self) -> int:
        return int(LEASE_CHECKS * max(self._settings.watchdog_seconds, LONGEST_PAUSE_S) * 1000)

    async def check(self) -> None:
        """Observe each model once, also one that is not in Redis any more; one that cannot be read
        does not hide the others.
        """
        async with asyncio.timeout(TIMEOUT_S):
            now = await self._now()
            self._evicts = await self._eviction()
            self.workers.look(await self._hash(self._keys.workers), time.monotonic())
            self.refused_policies = refused_in(await self._hash(self._keys.policy_files), now)
            models = sorted({*await self._pipeline.models(), *self._compared})
            self._first = next(iter(models), "")
            self._routes = await routes(self._client, self._keys)
            names = [one.name for one in self._routes]
            self._noted = await setbacks(self._client, self._keys, names)
            self.silent_routes = [
                found.summary for one in self._routes if (found := assess(one, now)).bad
            ]
        for tell in (self._tell_dropped, self._tell_hanging, self._tell_refused, self._tell_held):
            async with asyncio.timeout(TIMEOUT_S):
                await tell(now)
        failed: Exception | None = None
        self.blinding = {model: self.blinding.get(model, []) for model in models}
        for start in range(0, len(models), self._at_once):
            part = models[start : start + self._at_once]
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    failed = await self._check_part(part, now) or failed
            except (*UNAVAILABLE, TimeoutError) as error:
                if self._at_once > 1:
                    raise
                failed = error  # one master is away: the others' models are watched
            await asyncio.sleep(0)  # requests have their turn
        if self._stamps is not None:
            await asyncio.to_thread(self._stamps.save)
        if failed is not None:
            raise failed

    async def _now(self) -> int:
        if self._clock is not None:
            return self._clock()
        answer: Any = await self._client.time()
        seconds, micros = answer
        return int(seconds * 1000 + micros // 1000)

    async def _eviction(self) -> str:
        """Return the policy by which Redis may evict keys; empty if it does not tell."""
        try:
            told: Any = await self._client.info("memory")
        except redis.ResponseError:  # not allowed, or not there
            return ""
        return eviction(int(told.get("maxmemory", 0)), str(told.get("maxmemory_policy", "")))

    async def _hash(self, key: str) -> dict[bytes, bytes]:
        """Read a hash of the workers; none of its fields if the key is of another type, which no
        worker could use.
        """
        reading: Any = self._client.hgetall(key)
        try:
            fields: dict[bytes, bytes] = await reading
        except redis.ResponseError:
            return {}
        return fields

    async def _tell_dropped(self, now: int) -> None:
        """Write how many events this process dropped, for the holder of the lease: when it is more
        than before, and for a while again, since a Redis that fails over may lose it.
        """
        reasons = dict(self._dropped)
        for model in list(self._served):
            told = self._told.get(model, Dropped({}, now))
            if told.reasons != reasons:
                told = self._told[model] = Dropped(reasons, now)
            if reasons and now - told.grew_ms <= 1000 * KEPT_S:
                await self._client.hset(
                    self._keys.watchdog(model),
                    mapping={DROPPED + self._token.encode(): msgspec.json.encode(told)},
                )

    async def _tell_hanging(self, now: int) -> None:
        """Write which versions hang in this process, for the holder of the lease."""
        for model, hang in self._hanging().items():
            packed = msgspec.json.encode(Hanging(hang.version, hang.seconds, now))
            field = HANGING + self._token.encode()
            await self._client.hset(self._keys.watchdog(model), mapping={field: packed})

    async def _tell_held(self, now: int) -> None:
        """Write which events this process holds, for as long as it holds some."""
        field, held = self._token.encode(), self._held()
        until = now + int(1000 * max(LIVING_S, LEASE_CHECKS * self._pause_s))
        for model in {*held, *self._holding}:
            key, own = self._keys.held(model), list(held.get(model, ()))[:MOST_HELD]
            pipe = self._client.pipeline(transaction=False)
            if own:
                where = f"{socket.gethostname()}:{self._settings.data_dir}"
                packed = msgspec.json.encode(Holdings(now, until, where, own))
                pipe.hset(key, mapping={field: packed})
                pipe.pexpire(key, FORGET_HELD_MS)
            else:
                pipe.hdel(key, field)
            await pipe.execute()
        self._holding = {model for model, own in held.items() if own}

    async def _tell_refused(self, now: int) -> None:
        """Write the numbers of events that this process accepted and refused; before the first
        time, delete those of processes that have ended.
        """
        pipe = self._client.pipeline(transaction=False)
        for key_of, refusals in self._refusals.items():
            for model in refusals.models:
                key = key_of(model)
                if key not in self._known:
                    await self._forget_refused(key, now)
                    self._known.add(key)
                packed = msgspec.json.encode(refusals.told(model, now))
                pipe.hset(key, mapping={self._token.encode(): packed})
                pipe.pexpire(key, FORGET_REFUSED_MS)
        await pipe.execute()

    async def _forget_refused(self, key: str, now: int) -> None:
        reading: Any = self._client.hgetall(key)
        fields: dict[bytes, bytes] = await reading
        gone = [name for name, packed in fields.items() if _is_old(packed, now)]
        if gone:
            forgetting: Any = self._client.hdel(key, *gone)
            await forgetting

    async def _check_part(self, models: Sequence[str], now: int) -> Exception | None:
        """Observe some models; return why one of them cannot be watched, None if all can."""
        try:
            await self._check_models(models, now)
        except UNAVAILABLE:
            raise
        except (redis.WatchError, redis.ResponseError, *UNREADABLE) as error:
            if len(models) == 1:
                # another process was faster, or the outcome is unknown: look again next time
                watched = isinstance(error, redis.WatchError)
                return None if watched else BadData(f"{models[0]} cannot be watched: {error}")
            failed = None
            for model in models:
                failed = await self._check_part([model], now) or failed
            return failed
        return None

    async def _check_models(self, models: Sequence[str], now: int) -> None:
        """Observe those of some models that no other process observes, in one transaction.

        Raises
        ------
        redis.WatchError
            If one of them was written meanwhile; then nothing was written for any.
        """
        keys = [self._keys.watchdog(model) for model in models]
        async with transaction(self._client, keys[0]) as pipe:
            await pipe.watch(*keys)
            reading = self._client.pipeline(transaction=False)
            for key in keys:
                reading.hgetall(key)
            hashes = dict(zip(models, await reading.execute(), strict=True))
            held = {model for model in models if self._takes(model, hashes[model], now)}
            asked = [
                model
                for model in models
                if model in held or model not in self._compared or self._kept(model)
            ]
            if not asked:
                return
            states = await self._pipeline.read(asked, most=1)
            if self._clock is not None:
                states = [replace(state, now_ms=now) for state in states]
            pipe.multi()
            found: list[Alert] = []
            back = {state.model: self._setbacks(state) for state in states}
            for state in states:
                fields = hashes[state.model]
                setbacks = [*self._kept(state.model), *back[state.model]]
                if state.model in held:
                    found += await self._observe(pipe, state, fields, setbacks, now)
                else:
                    self._tell_setbacks(pipe, state.model, fields, setbacks)
            await pipe.execute()
        for state in states:
            if self._stamps is not None and back[state.model]:
                key = self._keys.watchdog(state.model)
                await asyncio.to_thread(self._stamps.keep, key, back[state.model])
            self._compare(state)
        for alert in found:
            logger.warning("%s %s: %s", alert.rule, alert.state, alert.summary)

    def _takes(self, model: str, fields: Mapping[bytes, bytes], now: int) -> bool:
        """Note what the holder of the lease found; return whether it is ours to take."""
        self._note(model, _memory(fields.get(b"memory")))
        return self._may_take(fields.get(b"lease"), now)

    async def _observe(
        self,
        pipe: Any,
        state: ModelState,
        fields: Mapping[bytes, bytes],
        setbacks: list[Setback],
        now: int,
    ) -> list[Alert]:
        """Judge a model, queue what is to be written, and return its alerts."""
        memory = _memory(fields.get(b"memory"))
        observed = Observation(
            state,
            list(_dropped(fields).values()),
            self._settings,
            list(_hanging(fields).values()),
            [*setbacks, *_told_setbacks(fields)],
            _acknowledged(fields),
            self._evicts,
            self._routes,
            state.model == self._first,
            self._noted if state.model == self._first else [],
        )
        alerts = blind.judge(memory, observed)
        self._note(state.model, memory)
        if alerts:
            await self._check_type(self._keys.alerts(state.model))
            await self._check_type(self._keys.incidents(state.model))
        self._queue(pipe, state.model, memory, _forgotten(fields, now), alerts, now)
        return alerts

    def _note(self, model: str, memory: Memory) -> None:
        """Note why a model is not monitored, as the memory says."""
        self.blinding[model] = [
            memory.told[rule]
            for rule in blind.BLINDING
            if rule in memory.firing and rule in memory.told
        ]

    def _setbacks(self, state: ModelState) -> list[Setback]:
        """Return what of a model is older than this host's API processes have seen it."""
        if self._stamps is None:
            return []
        found = []
        for position in state.positions:
            seen = self._stamps.behind(position.key, position.place)
            if seen is not None:
                before, now = position.words(seen.place), position.words(position.place)
                events = max(0, seen.events - position.events)
                found.append(Setback(position.key, before, now, state.now_ms, events))
        return found

    def _compare(self, state: ModelState) -> None:
        """Note how far a model's keys are, once it is told which of them went back."""
        self._compared.add(state.model)
        if self._stamps is None:
            return
        for position in state.positions:
            self._stamps.note(position.key, position.place, position.events)

    def _kept(self, model: str) -> list[Setback]:
        """Return what was found of a model a short while ago, and told in its hash, which may have
        gone back since then.
        """
        return [] if self._stamps is None else self._stamps.kept(self._keys.watchdog(model))

    def _tell_setbacks(
        self, pipe: Any, model: str, fields: Mapping[bytes, bytes], setbacks: list[Setback]
    ) -> None:
        """Leave what was found to the holder of the lease, unless it has heard of it."""
        heard = _memory(fields.get(b"memory")).setbacks_found
        news = [one for one in setbacks if one.at > heard.get(one.what, 0)]
        if news:
            mapping = {BACK + self._token.encode(): msgspec.json.encode(news)}
            pipe.hset(self._keys.watchdog(model), mapping=mapping)

    def _may_take(self, packed: bytes | None, now: int) -> bool:
        """Tell whether the lease is free, ours or over. One far in the future was taken before the
        clock went back.
        """
        if packed is None:
            return True
        try:
            lease = msgspec.json.decode(packed, type=Lease)
        except UNREADABLE:  # it stops nobody
            return True
        return lease.token == self._token or not now < lease.until <= now + self._longest_lease_ms

    async def _check_type(self, key: str) -> None:
        """Refuse a key of another type now: inside the transaction its error would not undo the
        rest.
        """
        kind: Any = await self._client.type(key)
        if kind not in {b"stream", b"none"}:
            raise BadData(
                f"{key} is a {kind.decode()} in Redis, not a stream. Move it away, or use another "
                f"key prefix."
            )

    def _queue(
        self,
        pipe: Any,
        model: str,
        memory: Memory,
        forgotten: list[bytes],
        alerts: list[Alert],
        now: int,
    ) -> None:
        lease, key = Lease(self._token, now + self._lease_ms), self._keys.watchdog(model)
        pipe.hset(
            key,
            mapping={b"lease": msgspec.json.encode(lease), b"memory": msgspec.json.encode(memory)},
        )
        if forgotten:
            pipe.hdel(key, *forgotten)
        for alert in alerts:
            pipe.xadd(
                self._keys.alerts(alert.model),
                {b"e": cloud_event(alert)},
                maxlen=ALERTS_KEPT,
                approximate=True,
            )
            incident = incident_of(alert)
            if incident is not None:
                queue_incident(pipe, self._keys, incident)


async def failing_words(
    client: redis.asyncio.Redis, keys: Keys, models: Sequence[str]
) -> dict[str, str]:
    """Return what the worker fails on in words, of the models that it fails on."""
    pipe = client.pipeline(transaction=False)
    for model in models:
        pipe.hget(keys.watchdog(model), "memory")
    found = zip(models, await pipe.execute(), strict=True)
    return {model: words for model, packed in found if (words := failing_in(packed))}


def failing_in(memory: bytes | None) -> str:
    """Return what the worker fails on in words, by the memory of a model; empty if it does not."""
    return _memory(memory).failing


async def firing_rules(
    client: redis.asyncio.Redis, keys: Keys, models: Sequence[str]
) -> list[tuple[str, str, bool]]:
    """Return (model, rule, whether it fires) of every rule, as the watchdog left it."""
    pipe = client.pipeline(transaction=False)
    for model in models:
        pipe.hget(keys.watchdog(model), "memory")
    memories = zip(models, await pipe.execute(), strict=True)
    return [(model, *one) for model, packed in memories for one in rules_in(packed)]


def rules_in(memory: bytes | None) -> list[tuple[str, bool]]:
    """Return each rule, and whether it fires, by the memory of a model."""
    found = _memory(memory)
    firing = {*found.firing, *([blind.NOTIFICATION] if found.routes else [])}
    return [(rule, rule in firing) for rule in blind.NAMES]


async def firing_alerts(
    client: redis.asyncio.Redis, keys: Keys, models: Sequence[str]
) -> set[tuple[str, str]]:
    """Return (model, fingerprint) of every alert of the watchdog that fires."""
    pipe = client.pipeline(transaction=False)
    for model in models:
        pipe.hget(keys.watchdog(model), "memory")
    found = set()
    for model, packed in zip(models, await pipe.execute(), strict=True):
        memory = _memory(packed)
        found |= {(model, blind.fingerprint_of(model, rule)) for rule in memory.firing}
        found |= {
            (model, blind.fingerprint_of(model, blind.NOTIFICATION, f"{ROUTE_SEGMENT}{route}"))
            for route in memory.routes
        }
    return found


def _memory(packed: bytes | None) -> Memory:
    """Read the memory; one of another format is as good as none."""
    if packed is None:
        return Memory()
    try:
        return msgspec.json.decode(packed, type=Memory)
    except UNREADABLE:
        logger.warning("Another version's watchdog was here; this one starts anew.")
        return Memory()


def _dropped(fields: Mapping[bytes, bytes]) -> dict[bytes, Dropped]:
    """Return what each process dropped, by the name of its field."""
    return _of_processes(fields, DROPPED, Dropped)


def _hanging(fields: Mapping[bytes, bytes]) -> dict[bytes, Hanging]:
    """Return what each process told of a version that hangs, by the name of its field."""
    return _of_processes(fields, HANGING, Hanging)


def _of_processes(
    fields: Mapping[bytes, bytes], prefix: bytes, form: type[_Form]
) -> dict[bytes, _Form]:
    """Read the fields of a prefix; what was written by hand is left out."""
    found = {}
    for name, packed in fields.items():
        if name.startswith(prefix):
            with suppress(*UNREADABLE):
                found[name] = msgspec.json.decode(packed, type=form)
    return found


def _told_setbacks(fields: Mapping[bytes, bytes]) -> list[Setback]:
    """Return what other processes found to have gone back."""
    return [one for told in _of_processes(fields, BACK, list[Setback]).values() for one in told]


def _acknowledged(fields: Mapping[bytes, bytes]) -> dict[str, Acknowledge]:
    """Return who acknowledged which rule's alert since the last look."""
    found = _of_processes(fields, ACKNOWLEDGED, Acknowledge)
    return {
        name.removeprefix(ACKNOWLEDGED).decode(errors="replace"): one for name, one in found.items()
    }


async def acknowledge(
    client: redis.asyncio.Redis, keys: Keys, model: str, command: Acknowledge
) -> bool:
    """Leave a person's acknowledgement to the holder of the lease; return whether it is of a firing
    alert that ends by it.
    """
    key = keys.watchdog(model)
    reading: Any = client.hget(key, "memory")
    memory = _memory(await reading)
    for rule in memory.firing:
        ends = rule_of(BLIND.of(rule)).until_acknowledged
        if ends and blind.fingerprint_of(model, rule) == command.fingerprint:
            packed = msgspec.json.encode(command)
            writing: Any = client.hset(key, mapping={ACKNOWLEDGED + rule.encode(): packed})
            await writing
            return True
    return False


def _is_old(packed: bytes, now: int) -> bool:
    """Return whether the counts of a process are too old or unreadable."""
    try:
        told = msgspec.json.decode(packed, type=Refused)
    except UNREADABLE:
        return True
    return now - told.told_ms > FORGET_REFUSED_MS


def _forgotten(fields: Mapping[bytes, bytes], now: int) -> list[bytes]:
    """Name the fields of processes that dropped nothing for a day, and in which nothing hangs any
    more, and those that are taken in by now.
    """
    dropped = [
        name for name, one in _dropped(fields).items() if now - one.grew_ms > FORGET_DROPPED_MS
    ]
    dropped += [
        name for name, one in _hanging(fields).items() if now - one.told_ms > blind.HANGING_HOLD_MS
    ]
    return dropped + [name for name in fields if name.startswith((BACK, ACKNOWLEDGED))]
