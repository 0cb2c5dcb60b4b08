"""The bridge from Kafka on librdkafka's own mock of a cluster, with real processes that are killed
by kill -9, and a real Redis.
"""

import io
import json
import math
import os
import random
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import confluent_kafka
import fastavro
import msgspec
import numpy as np
import pytest
import redis

from driftgauge.consumer.bridging.decoding import AvroDecoder, decode_json
from driftgauge.consumer.bridging.kafka import KafkaBridge
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData
from driftgauge.shared.local import deployment, processes
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion, new_manifest
from driftgauge.shared.settings import Settings
from tests.consumer.builders import NUMERIC_SCHEMA, numeric_reference
from tests.integration.plant import wait_for, worker_thread
from tests.producer.ledger import PowerLoss

MODEL = "plant"


class Kafka:
    """A mock cluster in this process, which other processes reach."""

    def __init__(self) -> None:
        self.producer = confluent_kafka.Producer(
            {"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0}
        )
        broker = next(iter(self.producer.list_topics(timeout=10).brokers.values()))
        self.brokers = f"{broker.host}:{broker.port}"

    def send(self, topic: str, contents: list[bytes], key: str | None = None) -> None:
        for content in contents:
            self.producer.produce(topic, content, key)
            self.producer.poll(0)
        assert self.producer.flush(30) == 0


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def settings(redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    """Settings of a deployment with a model of two partitions that is only monitored."""
    settings = Settings(
        redis_url=redis_url,
        key_prefix=prefix,
        registry_dir=tmp_path / "registry",
        data_dir=tmp_path / "data",
        lease_ms=3000,
        commit_ms=20,
    )
    registry = ModelRegistry(settings.registry_dir)
    manifest = new_manifest(MODEL, "1.0.0", "monitor", partitions=2)
    registry.register(PublishedVersion(manifest, NUMERIC_SCHEMA, numeric_reference()))
    registry.promote(MODEL, "1.0.0", "production", actor="test")
    return settings


def rows(number: int, first: int = 0) -> list[bytes]:
    values = np.random.default_rng(first).normal(size=(number, 2)).tolist()
    return [
        json.dumps({"a": a, "b": b, "prediction": a + b, "id": f"m{first + place}"}).encode()
        for place, (a, b) in enumerate(values)
    ]


def bridge(settings: Settings, kafka: Kafka, stop: threading.Event, **more: Any) -> KafkaBridge:
    topics = more.pop("topics", {"scores": "predictions"})
    decode = more.pop("decode", decode_json)
    config = {"bootstrap.servers": kafka.brokers}
    return KafkaBridge(settings, MODEL, config, topics, decode, stop, **more)


def counted(client: redis.Redis, settings: Settings) -> Counters:
    """Sum the counters of the partitions."""
    keys, total = keys_of(settings), Counters()
    for place in range(2):
        packed: Any = client.hget(keys.count(MODEL, place), "counters")
        if packed is not None:
            found = msgspec.json.decode(packed, type=Counters)
            total.events += found.events
            total.dead += found.dead
            total.missing += found.missing
            total.duplicates += found.duplicates
            total.labels.joined += found.labels.joined
    return total


def keys_of(settings: Settings) -> Keys:
    salts = ModelRegistry(settings.registry_dir).manifest(MODEL, "1.0.0").salts
    return Keys(settings.key_prefix).salted(salts)


def test_each_message_is_counted_once_whatever_is_killed(
    settings: Settings, client: redis.Redis, kafka: Kafka, tmp_path: Path
) -> None:
    """Two bridges carry two topics of 4,000 messages to two partitions; one or the other gets
    kill -9 again and again. Every message is counted once; nothing is missed.
    """
    draw, command = random.Random(3), [sys.executable, "-m", "driftgauge", "bridge", "kafka"]
    command += [
        "--brokers",
        kafka.brokers,
        "--model",
        MODEL,
        "--topic",
        "scores",
        "--topic",
        "more",
    ]
    environment = deployment.environment(settings)

    def start(number: int) -> Any:
        log = tmp_path / f"bridge{number}.log"
        return processes.start(command, log, {**os.environ, **environment})

    sent = 0
    running = [start(0), start(1)]
    try:
        with worker_thread(settings.model_dump()):
            for _ in range(4):
                for topic in ("scores", "more"):
                    kafka.send(topic, rows(1000, sent))
                    sent += 1000
                before = counted(client, settings).events
                wait_for(lambda before=before: counted(client, settings).events > before, "some")
                number = draw.randrange(2)
                running[number].kill()
                running[number].wait()
                running[number] = start(number)
            wait_for(lambda: counted(client, settings).events >= sent, f"{sent} events")
    finally:
        for process in running:
            process.kill()
            process.wait()
    found = counted(client, settings)
    assert (found.events, found.dead, found.missing, found.duplicates) == (sent, 0, 0, 0)


def test_a_commit_whose_outcome_is_unknown_is_not_repeated(
    settings: Settings, client: redis.Redis, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third commit is applied and then fails, as if the reply was lost: the offsets in Redis
    say what is written, so nothing is written twice, and nothing is passed over.
    """
    kafka.send("scores", rows(500))
    commit, calls = Checkpoint.commit, []

    def unsure(self: Checkpoint, *given: Any) -> None:
        commit(self, *given)
        calls.append(1)
        if len(calls) % 3 == 0:
            raise redis.ConnectionError("the reply is lost")

    monkeypatch.setattr(Checkpoint, "commit", unsure)
    monkeypatch.setattr("driftgauge.consumer.bridging.kafka.AT_ONCE", 40)
    running = bridge(settings, kafka, threading.Event())
    running.run(until_end=True)
    logs = [client.xlen(keys_of(settings).log(MODEL, place)) for place in range(2)]
    assert sum(logs) == 500  # type: ignore[arg-type]  # numbers


def test_what_cannot_be_used_is_a_dead_letter_with_its_place(
    settings: Settings, client: redis.Redis, kafka: Kafka
) -> None:
    """Its reason names topic, partition and offset; its neighbours are counted, and labels of
    another topic join them.
    """
    good = rows(3)
    stranger = b'{"a":1,"b":1,"prediction":1,"version":"9.9.9"}'
    odd = [b"{", b'{"a":"?","b":1,"prediction":1}', stranger, stranger]
    kafka.send("scores", [good[0], *odd, good[1], good[2]])
    kafka.send("truths", [b'{"label":1.5}'], key="m0")
    kafka.send("truths", [b'{"label":1.5}'])
    topics = {"scores": "predictions", "truths": "labels"}
    bridge(settings, kafka, threading.Event(), topics=topics).run(until_end=True)
    with worker_thread(settings.model_dump()):
        wait_for(lambda: counted(client, settings).dead == 5, "the dead letters")
        wait_for(lambda: counted(client, settings).events == 3, "the others")
    assert counted(client, settings).missing == 0
    keys = keys_of(settings)
    letters: list[Any] = [
        fields
        for place in range(2)
        for _, fields in client.xrange(keys.dead(MODEL, place))  # type: ignore[union-attr]  # no coroutine
    ]
    reasons = sorted(letter[b"reason"].decode() for letter in letters)
    assert any(", offset " in one and "It is not JSON" in one for one in reasons)
    assert any(one.startswith("scores, partition ") and "a must be" in one for one in reasons)
    assert sum("Version '9.9.9' is not registered" in one for one in reasons) == 2
    assert any(one.startswith("truths, partition ") and "a key" in one for one in reasons)


def test_a_bridge_goes_on_where_the_former_one_stopped(settings: Settings, kafka: Kafka) -> None:
    """Run twice until the end, and once more with nothing new: each message is written once."""
    for number in range(2):
        kafka.send("scores", rows(50, number * 50))
        running = bridge(settings, kafka, threading.Event())
        running.run(until_end=True)
        assert running.written == 50
    last = bridge(settings, kafka, threading.Event())
    last.run(until_end=True)
    assert last.written == 0


def test_messages_that_kafka_deleted_before_they_were_read_are_missed(
    settings: Settings, client: redis.Redis, kafka: Kafka
) -> None:
    """The offsets that do not exist any more take numbers of the publisher, so counting and the
    watchdog miss as many events; the rest goes on.
    """
    kafka.send("scores", rows(40))
    first = bridge(settings, kafka, threading.Event())
    first.run(until_end=True)
    kafka.send("scores", rows(40, 40))
    second = bridge(settings, kafka, threading.Event())
    told = second._consumer.get_watermark_offsets

    class Trimmed:
        """The consumer, but the first messages after those that were read are gone."""

        def __getattr__(self, name: str) -> Any:
            return getattr(consumer, name)

        def get_watermark_offsets(self, place: Any, **more: Any) -> tuple[int, int]:
            low, high = told(place, **more)
            return (min(high, first_ends[place.partition] + 2), high) if high > low else (low, high)

    consumer = second._consumer
    first_ends = {partition: source.next for (_, partition), source in first._sources.items()}
    second._consumer = Trimmed()  # type: ignore[assignment]  # it stands for it
    second.run(until_end=True)
    assert second.lost > 0
    assert second.written == 40 - second.lost
    with worker_thread(settings.model_dump()):
        wait_for(lambda: counted(client, settings).missing == second.lost, "the loss")


def test_a_redis_that_loses_its_last_second_is_written_again(
    settings: Settings, kafka: Kafka, tmp_path: Path
) -> None:
    """Events and offset go back together, so the bridge reads again from what Redis says: each
    message is in the log once.
    """
    server = EmbeddedRedis(tmp_path / "redis")
    server.start()
    power, sent, stop = PowerLoss(server), 0, threading.Event()
    own = settings.model_copy(update={"redis_url": server.url})
    running = bridge(own, kafka, stop)
    thread = threading.Thread(target=running.run)
    thread.start()
    keys = keys_of(settings)

    def written() -> set[str]:
        found: list[str] = []
        with connect(server.url) as client, suppress(redis.ConnectionError):
            for place in range(2):
                entries: Any = client.xrange(keys.log(MODEL, place))
                found += [json.loads(fields[b"e"])["id"] for _, fields in entries]
        assert len(found) == len(set(found))
        return set(found)

    try:
        began = math.inf
        while time.monotonic() - began < 1.6 or not sent:
            kafka.send("scores", rows(20, sent))
            sent += 20
            wait_for(lambda sent=sent: len(written()) >= sent, "the messages")
            power.note()
            began = min(began, time.monotonic())
        assert power.strike() > 0
        server.start()
        assert len(written()) < sent
        wait_for(lambda: len(written()) == sent, "all of them again")
    finally:
        stop.set()
        thread.join()
        server.kill()


@contextmanager
def schema_registry(schemas: dict[int, Any]) -> Iterator[str]:
    """A registry that knows some schemas, by number."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = schemas.get(int(self.path.rpartition("/")[2]))
            self.send_response(404 if known is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"schema": json.dumps(known)}).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_avro_by_a_schema_registry() -> None:
    """A row in Confluent's wire format is read by the schema whose number it names; JSON beside it;
    a schema that there is not, and bytes that do not fit, are told.
    """
    schema = {
        "type": "record",
        "name": "row",
        "fields": [
            {"name": "a", "type": "double"},
            {"name": "b", "type": ["null", "double"]},
            {"name": "prediction", "type": "double"},
        ],
    }
    row = {"a": 1.5, "b": None, "prediction": 2.5}
    packed = io.BytesIO()
    fastavro.schemaless_writer(packed, fastavro.parse_schema(schema), row)
    with schema_registry({7: schema}) as url:
        decode = AvroDecoder(url)
        assert decode(b"\0" + struct.pack(">I", 7) + packed.getvalue()) == row
        assert decode(json.dumps(row).encode()) == row
        with pytest.raises(BadData, match="has no schema 8"):
            decode(b"\0" + struct.pack(">I", 8) + packed.getvalue())
        with pytest.raises(BadData, match="does not fit schema 7"):
            decode(b"\0" + struct.pack(">I", 7) + b"\x01")
    with pytest.raises(OSError, match="refused"):
        AvroDecoder(url)(b"\0" + struct.pack(">I", 7) + packed.getvalue())
