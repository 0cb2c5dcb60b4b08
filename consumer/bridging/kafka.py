"""The bridge from Kafka: partitions of topics are taken by leases, read from the offsets that stand
beside our logs, and written there (lane.py).

Any number of bridges may run. Kafka's own groups are told how far we are, so that its tools show
the lag; what counts is in Redis. While counting is far behind, nothing is read: the messages keep
in Kafka.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import redis

from driftgauge.consumer.bridging.decoding import Decode
from driftgauge.consumer.bridging.lane import Lane, Write
from driftgauge.consumer.bridging.messages import Place, label_of, predictions_of
from driftgauge.consumer.bridging.versions import Versions
from driftgauge.consumer.stages.stage import Backoff
from driftgauge.shared.connections.cluster import MOVED
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.connections.refusals import refusal
from driftgauge.shared.contract.events import (
    KINDS,
    MONITOR_GROUP,
    UNUSABLE,
    Event,
    encode,
    partition_of,
)
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData, OwnershipLost
from driftgauge.shared.extras import needs
from driftgauge.shared.otel.context import caller_of
from driftgauge.shared.settings import Settings

log = logging.getLogger("driftgauge.bridge")

Content = Literal["predictions", "labels"]
AT_ONCE: Final = 1000
WAIT_S: Final = 0.2
LOOK_S: Final = 1.0
"""Time (s) between two looks for free partitions, and at the versions."""
PROGRESS_S: Final = 60.0
KAFKA_S: Final = 10.0
MOST_UNCOUNTED: Final = 100_000
"""Entries of a log that wait to be counted, beyond which nothing is read."""
GROUP: Final = "driftgauge"


@dataclass(eq=False)
class Source:
    """A partition of a topic.

    Attributes
    ----------
    lanes
        Its way to each partition of the model.
    next, end
        Offset behind what is written, and the end of the topic's partition when it was taken.
    """

    topic: str
    partition: int
    content: Content
    lanes: list[Lane]
    owned: bool = False
    retry_at: float = 0.0
    renewed: float = 0.0
    next: int = 0
    end: int = 0
    faults: Backoff = field(default_factory=lambda: Backoff(0.5, 5.0))

    @property
    def name(self) -> str:
        return f"{self.topic}[{self.partition}]"


class KafkaBridge:
    """Carries the messages of topics to the logs of a model.

    Parameters
    ----------
    config
        Settings of librdkafka, among them `bootstrap.servers`.
    topics
        What each topic holds.
    decode
        Function that decodes a message.
    from_end
        Whether a topic that was never read is read from its end on.
    stop
        Ends `run`.

    Raises
    ------
    ModelNotFound
        If the model has no version in production.
    """

    def __init__(
        self,
        settings: Settings,
        model: str,
        config: Mapping[str, Any],
        topics: Mapping[str, Content],
        decode: Decode,
        stop: threading.Event,
        *,
        from_end: bool = False,
    ) -> None:
        with needs("kafka"):
            import confluent_kafka
        self._kafka = confluent_kafka
        self._settings = settings
        self._model = model
        self._topics = topics
        self._decode = decode
        self._stop = stop
        self._from_end = from_end
        self._nodes = Nodes(settings.redis_url)
        plain = Keys(settings.key_prefix)
        self._versions = Versions(self._nodes.shared(plain.versions(model)), settings, model, plain)
        self._keys = plain.salted(self._versions.manifest.salts)
        self._consumer = confluent_kafka.Consumer(
            {
                "group.id": GROUP,
                **config,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": False,
            },
            logger=log,
        )
        self._sources: dict[tuple[str, int], Source] = {}
        self._looked = self._told = 0.0
        self.written = self.unusable = self.lost = 0

    def run(self, *, until_end: bool = False) -> None:
        """Carry until stopped; with `until_end` until all that was there at the beginning is
        written.
        """
        try:
            while not self._stop.is_set():
                now = time.monotonic()
                if now - self._looked >= LOOK_S:
                    self._looked = now
                    self._guarded(self._look)
                if self._has_room():
                    self._carry(self._consumer.consume(AT_ONCE, WAIT_S))
                else:
                    self._stop.wait(WAIT_S)
                self._renew()
                self._tell()
                if until_end and self._sources and all(map(self._is_done, self._sources.values())):
                    return
        finally:
            for source in self._sources.values():
                self._leave(source)
            self._consumer.close()
            self._nodes.close()

    # -- sources -----------------------------------------------------------------------------------

    def _look(self) -> None:
        """Find partitions, take those that are free, and follow the registry."""
        self._versions.look()
        for topic, content in self._topics.items():
            found = self._consumer.list_topics(topic, timeout=KAFKA_S).topics[topic]
            if found.error is not None:
                log.error("Topic %s cannot be read: %s", topic, found.error)
                continue
            for partition in found.partitions:
                if (topic, partition) not in self._sources:
                    self._sources[topic, partition] = self._source(topic, partition, content)
        for source in self._sources.values():
            if not source.owned and time.monotonic() >= source.retry_at:
                self._take(source)
                self._renew()  # of many partitions it takes longer than a lease

    def _source(self, topic: str, partition: int, content: Content) -> Source:
        lanes = [
            Lane(
                self._nodes.shared(self._keys.log(self._model, place)),
                self._keys,
                self._model,
                place,
                f"kafka:{topic}:{partition}",
                self._settings.lease_ms,
            )
            for place in range(self._versions.manifest.partitions)
        ]
        return Source(topic, partition, content, lanes)

    def _take(self, source: Source) -> None:
        """Take all leases of a partition, or none; then read on behind what is written."""
        try:
            if not all(lane.checkpoint.acquire() for lane in source.lanes):
                self._leave(source, pause_s=self._settings.lease_ms / 1000)
                return
            for lane in source.lanes:
                lane.load()
            self._start(source)
        except Exception as error:  # noqa: BLE001  whatever it is, nothing was committed
            self._failed(source, error)
            return
        source.owned, source.renewed = True, time.monotonic()
        log.info("%s: read from offset %d", source.name, source.next)

    def _start(self, source: Source) -> None:
        """Assign a partition at the first place that some lane has not written."""
        place = self._kafka.TopicPartition(source.topic, source.partition)
        low, high = self._consumer.get_watermark_offsets(place, timeout=KAFKA_S)
        source.end = high
        known = [lane.offset for lane in source.lanes if lane.offset is not None]
        first = high if self._from_end else low
        if known and len(known) == len(source.lanes):
            source.next = min(known)
            if source.next > high:
                log.error(
                    "%s ends at %d, and was read to %d: was the topic made anew? It is read from "
                    "its beginning.",
                    source.name,
                    high,
                    source.next,
                )
                source.next = low
            elif source.next < low:
                self._miss(source, low)
        else:  # the first bridge died while it began, or there was none
            source.next = min([first, *known])
        for lane in source.lanes:
            if lane.offset is None or lane.offset > high:
                lane.commit((), source.next)
        place.offset = source.next
        self._consumer.incremental_assign([place])

    def _miss(self, source: Source, low: int) -> None:
        """Count the messages that Kafka has deleted before they were read."""
        lost = low - source.next
        log.error(
            "%s: %d messages are lost: offsets %d to %d do not exist any more.",
            source.name,
            lost,
            source.next,
            low - 1,
        )
        for place, lane in enumerate(source.lanes):
            mine = place == source.partition % len(source.lanes)
            lane.commit((), max(low, lane.offset or 0), lost if mine else 0)
        self.lost += lost
        source.next = low

    def _leave(self, source: Source, pause_s: float = 0.0) -> None:
        """Give a partition back."""
        if source.owned:
            place = self._kafka.TopicPartition(source.topic, source.partition)
            with suppress(self._kafka.KafkaException):
                self._consumer.incremental_unassign([place])
        source.owned = False
        source.retry_at = time.monotonic() + pause_s
        for lane in source.lanes:
            lane.checkpoint.release()

    def _is_done(self, source: Source) -> bool:
        return source.owned and source.next >= source.end

    # -- messages ----------------------------------------------------------------------------------

    def _carry(self, messages: Sequence[Any]) -> None:
        """Write messages, those of each partition in order."""
        found: dict[Source, list[Any]] = defaultdict(list)
        for message in messages:
            source = self._sources.get((message.topic(), message.partition()))
            if message.error() is not None:
                self._kafka_failed(source, message.error())
            elif source is not None and source.owned and message.offset() >= source.next:
                found[source].append(message)
        for source, part in found.items():
            try:
                self._write(source, part)
                source.faults.reset()
            except Exception as error:  # noqa: BLE001  whatever it is, it is read again from the last commit
                self._failed(source, error)

    def _write(self, source: Source, messages: Sequence[Any]) -> None:
        """Write the messages of a partition: to each of our logs in one transaction."""
        lanes = source.lanes
        writes: list[list[tuple[int, Write]]] = [[] for _ in lanes]
        unusable = 0
        for message in messages:
            try:
                events = self._events(source, message)
            except BadData as error:
                unusable += 1
                reason = f"{source.topic}, partition {source.partition}, offset {message.offset()}"
                write = Write(UNUSABLE, message.value() or b"", f"{reason}: {error}")
                writes[source.partition % len(lanes)].append((message.offset(), write))
                continue
            for event in events:
                place = partition_of(event.id, len(lanes)) if len(lanes) > 1 else 0
                write = Write(KINDS[type(event)], encode(event))
                writes[place].append((message.offset(), write))
        following = messages[-1].offset() + 1
        for lane, part in zip(lanes, writes, strict=True):
            if (lane.offset or 0) < following:
                fresh = [write for offset, write in part if offset >= (lane.offset or 0)]
                lane.commit(fresh, following)
                self.written += len(fresh)
        source.next, source.renewed = following, time.monotonic()
        self.unusable += unusable
        with suppress(self._kafka.KafkaException):  # only Kafka's own tools read it
            told = self._kafka.TopicPartition(source.topic, source.partition, following)
            self._consumer.commit(offsets=[told], asynchronous=True)

    def _events(self, source: Source, message: Any) -> Sequence[Event]:
        """Read the events of a message; a message without content, which deletes, has none."""
        content: bytes | None = message.value()
        if content is None:
            return ()
        kind, moment = message.timestamp()
        known = kind != self._kafka.TIMESTAMP_NOT_AVAILABLE and moment >= 0
        place = Place(
            f"{source.topic}-{source.partition}-{message.offset()}",
            _text(message.key()),
            moment if known else 0,
            _trace(message.headers() or ()),
        )
        document = self._decode(content)
        if source.content == "labels":
            usable = self._versions.of(None)
            if usable is None:
                raise OwnershipLost("The version in production cannot be read.")
            return (label_of(document, place, usable.schema),)
        return predictions_of(document, place, self._versions.of)

    # -- what keeps it going -----------------------------------------------------------------------

    def _has_room(self) -> bool:
        """Tell whether counting keeps up; also if Redis does not say."""
        for place in range(self._versions.manifest.partitions):
            key = self._keys.log(self._model, place)
            with suppress(redis.RedisError):
                groups: Any = self._nodes.shared(key).xinfo_groups(key)
                for group in groups:
                    mine = group["name"] == MONITOR_GROUP.encode()
                    if mine and (group.get("lag") or 0) > MOST_UNCOUNTED:
                        return False
        return True

    def _renew(self) -> None:
        now = time.monotonic()
        for source in self._sources.values():
            if source.owned and now - source.renewed > self._settings.lease_ms / 3000:
                try:
                    for lane in source.lanes:
                        lane.checkpoint.renew()
                    source.renewed = now
                except Exception as error:  # noqa: BLE001  it is taken again
                    self._failed(source, error)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do something; wait if Redis or Kafka is away."""
        try:
            work()
        except (*UNAVAILABLE, *MOVED, redis.ResponseError, self._kafka.KafkaException) as error:
            log.warning("Waiting: %s", error)
            self._nodes.forget()

    def _failed(self, source: Source, error: Exception) -> None:
        """Give a partition up after an error, and take it again after a pause."""
        known = isinstance(
            error, (OwnershipLost, OSError, self._kafka.KafkaException, *UNAVAILABLE)
        )
        if known or isinstance(error, MOVED) or refusal(error):
            log.warning("%s: %s Reading again from the last commit.", source.name, error)
        else:
            log.error("%s failed; reading again from the last commit", source.name, exc_info=error)
        if not isinstance(error, OwnershipLost):
            self._nodes.forget()
        self._leave(source, source.faults.next())

    def _kafka_failed(self, source: Source | None, error: Any) -> None:
        if source is not None and error.code() == self._kafka.KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  its public name
            self._leave(source)  # what is gone is counted when it is taken again
        else:
            log.warning("Kafka: %s", error.str())

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told >= PROGRESS_S:
            self._told = now
            log.info(
                "%d events written, %d messages unusable, %d lost; %d of %d partitions are ours",
                self.written,
                self.unusable,
                self.lost,
                sum(source.owned for source in self._sources.values()),
                len(self._sources),
            )


def _trace(headers: Iterable[tuple[str, object]]) -> str | None:
    """Return the trace that a message's headers name, as an event carries it; None without one."""
    given = ((name.lower().encode(), one) for name, one in headers if isinstance(one, bytes))
    found = caller_of(given)
    return None if found is None else found.carried


def _text(key: bytes | str | None) -> str | None:
    """Return a message's key as text; None if it is none."""
    if key is None or isinstance(key, str):
        return key or None
    try:
        return key.decode() or None
    except UnicodeDecodeError:
        return None
