"""What earlier releases wrote is read by this one; what this one writes has not changed unseen."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
import redis

from driftgauge.client.spool import Spool
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.labels.pending import Waiting
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.state import CountingState
from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.incidents.state import IncidentState
from driftgauge.consumer.judging.state import Progress
from driftgauge.consumer.judging.stated import PolicyChange
from driftgauge.consumer.judging.windows.failures import FailureWindow
from driftgauge.consumer.judging.windows.history import History
from driftgauge.consumer.judging.windows.labelled import Span
from driftgauge.consumer.judging.windows.labelled_days import LabelledDay
from driftgauge.consumer.judging.windows.window import WindowPane
from driftgauge.consumer.notifying.routing.tracked_incident import TrackedIncident
from driftgauge.consumer.stages.checkpoint import BESIDE
from driftgauge.producer.publishing import spool_records
from driftgauge.producer.reading.pipeline import Pipeline
from driftgauge.shared.backup.form import KEYS
from driftgauge.shared.backup.reading import Reader
from driftgauge.shared.backup.records import Entries, Fields, StreamEnd, unpacked
from driftgauge.shared.connections.keyspace import found_keys
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import connect_async
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.alert import Alert, CloudEvent
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.keys import FORMAT, FORMAT_FIELD, OLDEST_FORMAT
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.contract.snapshot_parts import Brief
from driftgauge.shared.metrics.figures import Figures
from driftgauge.shared.reference.profile import NumericReference
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.stamps import Stamps
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.formats.making import FOLDER, LABELLED
from tests.formats.making import KEYS as NAMES
from tests.integration.plant import (
    MODEL,
    arrived,
    counters,
    events,
    judged_all,
    settings_of,
    wait_for,
    worker_thread,
)
from tests.shared.backup.conftest import put_back

BACKUPS: Final = sorted(
    (path.stem for path in FOLDER.glob("*.backup")), key=lambda name: [*map(int, name.split("."))]
)
NEWEST: Final = BACKUPS[-1]
AGAIN, NEW = 400, 300
"""Events that are sent again, and new ones."""

Codec = tuple[Callable[[bytes], Any], Callable[[Any], bytes]]


def _json(kind: type[Any]) -> Codec:
    return partial(msgspec.json.decode, type=kind), msgspec.json.encode


def _msgpack(kind: type[Any]) -> Codec:
    return partial(msgspec.msgpack.decode, type=kind), msgspec.msgpack.encode


TEXT: Final[Codec] = (bytes.decode, str.encode)
JUDGING: Final[Mapping[bytes, Codec]] = {
    b"state": _json(Progress),
    b"alert": _json(AlertState),
    b"incident": _json(IncidentState),
    b"pane": _msgpack(WindowPane),
    b"span": _msgpack(Span),
    b"labelday": _msgpack(LabelledDay),
    b"history": _msgpack(History),
    b"metric": _msgpack(History),
    b"policy": _json(PolicyChange),
    b"failures": (FailureWindow.unpack, FailureWindow.pack),
}
"""How each kind of field of judging's checkpoint is read and written."""
HASHES: Final[Mapping[str, Codec]] = {
    "current": _json(Snapshot),
    "brief": _json(Brief),
    "figures": _json(Figures),
    "incidents:open": _json(CloudEvent),
    "versions": (PublishedVersion.unpack, PublishedVersion.pack),
}
STREAMS: Final[Mapping[str, type[Any]]] = {
    "alerts": Alert,
    "incidents": Incident,
    "snapshots": Snapshot,
}


class Stored:
    """What a backup holds: fields of hashes, and fields of the entries of streams, by key."""

    def __init__(self, name: str) -> None:
        self.hashes: dict[str, dict[bytes, bytes]] = defaultdict(dict)
        self.streams: dict[str, list[dict[bytes, bytes]]] = defaultdict(list)
        self.ends: dict[str, str] = {}
        reader = Reader(FOLDER / f"{name}.backup")
        for _, file in reader.members(KEYS):
            for record in unpacked(file.read()):
                if isinstance(record, Fields):
                    self.hashes[record.key] |= dict(record.fields)
                elif isinstance(record, Entries):
                    self.streams[record.key] += [
                        dict(zip(fields[::2], fields[1::2], strict=True))
                        for _, fields in record.entries
                    ]
                elif isinstance(record, StreamEnd):
                    self.ends[record.key] = record.last_id
        reader.close()


def contents(stored: Stored) -> Iterator[tuple[str, bytes, Any, bytes]]:
    """Yield what stands outside of checkpoints: where, the bytes, what they mean, and the bytes
    that this release would write for it.
    """
    for name, (decode, encode) in HASHES.items():
        for field, packed in stored.hashes[f"{NAMES.prefix}:{{{MODEL}}}:{name}"].items():
            found = decode(packed)
            yield f"{name} {field.decode()}", packed, found, encode(found)
    for name, kind in STREAMS.items():
        for number, fields in enumerate(stored.streams[f"{NAMES.prefix}:{{{MODEL}}}:{name}"]):
            event = msgspec.json.decode(fields[b"e"], type=CloudEvent)
            data = msgspec.json.decode(event.data, type=kind)
            yield f"{name} {number}", bytes(event.data), data, msgspec.json.encode(data)
            yield f"{name} {number}", fields[b"e"], event, msgspec.json.encode(event)
    for number, fields in enumerate(stored.streams[NAMES.panes(MODEL, 0)]):
        entry = pane.decode(fields[b"b"])
        yield f"pane {number}", fields[b"b"], entry, pane.encode(entry)


def events_of(name: str) -> list[Entry]:
    """Return events that were counted, and new ones, behind the last entry of a backup's log, as
    its publisher sends them.
    """
    end = EntryId.parse(Stored(name).ends[NAMES.log(MODEL, 0)]).ms
    found = Stored(name).hashes[NAMES.count(MODEL, 0)]
    counted = msgspec.json.decode(found[b"counters"])["events"]
    waiting = len(Stored(name).streams[NAMES.log(MODEL, 0)])
    first = counted + waiting - AGAIN + 1
    return events(9, AGAIN + NEW, end + 1000, first=first)


def test_every_format_that_is_read_has_its_files() -> None:
    """From the oldest format that this release reads to the one that it writes there is a backup
    of each, whose checkpoints have that format.
    """
    wanted = range(int(OLDEST_FORMAT), int(FORMAT) + 1)
    assert sorted({int(name.split(".")[0]) for name in BACKUPS}) == list(wanted)
    for name in BACKUPS:
        stored = Stored(name)
        for key in (NAMES.count(MODEL, 0), NAMES.judge(MODEL), NAMES.follower(MODEL, "reports")):
            assert stored.hashes[key][FORMAT_FIELD].decode() == name.split(".")[0]


@pytest.mark.parametrize("name", BACKUPS)
def test_a_worker_goes_on_from_it(
    name: str, client: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    """A worker of this release goes on from what that format left: every event is counted once, the
    panes are judged, alerts and snapshots of before stay, and every checkpoint has the present
    format.
    """
    put_back(redis_url, NAMES, FOLDER / f"{name}.backup", replace=True)
    before = counters(client, NAMES).events
    waiting = client.xlen(NAMES.log(MODEL, 0))
    kept: dict[str, Any] = {
        key: client.xrange(key) for key in (NAMES.alerts(MODEL), NAMES.snapshots(MODEL))
    }
    labelled = counters(client, NAMES).labels.joined
    more = {"reports_dir": str(tmp_path), "data_dir": str(tmp_path), "pane_events": 100}
    with worker_thread(settings_of(redis_url, NAMES, **more)):
        for entry_id, fields in events_of(name):
            client.execute_command("XADD", NAMES.log(MODEL, 0), entry_id, *fields)
        total = before + waiting + AGAIN + NEW
        wait_for(lambda: arrived(client, NAMES) == total, "the events")
        wait_for(lambda: judged_all(client, NAMES), "the panes")
    found = counters(client, NAMES)
    assert (found.events, found.duplicates, found.dead) == (before + waiting + NEW, AGAIN, 0)
    assert found.labels.joined == labelled
    for key, entries in kept.items():
        assert entries
        assert client.xrange(key)[: len(entries)] == entries
    for key in (NAMES.count(MODEL, 0), NAMES.judge(MODEL), NAMES.follower(MODEL, "reports")):
        assert client.hget(key, "format") == FORMAT
        assert client.hget(key, "fault") is None
    _delete(client, redis_url)


def _delete(client: redis.Redis, url: str) -> None:
    nodes = Nodes(url)
    client.unlink(*found_keys(nodes, NAMES))
    nodes.close()


@pytest.mark.anyio
@pytest.mark.parametrize("name", BACKUPS)
async def test_the_api_reads_it(name: str, client: redis.Redis, redis_url: str) -> None:
    """The API shows counts, lag and current window of what that format left, before a worker has
    touched it.
    """
    put_back(redis_url, NAMES, FOLDER / f"{name}.backup", replace=True)
    asking = connect_async(redis_url)
    (state,) = await Pipeline(asking, NAMES).read([MODEL])
    await asking.aclose()
    (partition,) = state.partitions
    assert partition.counters.events == counters(client, NAMES).events > 0
    assert not partition.holes
    _delete(client, redis_url)


@pytest.mark.parametrize("name", BACKUPS)
def test_every_message_is_read(name: str) -> None:
    """Panes, alerts, incidents, snapshots, windows and versions of that format can be read."""
    found = list(contents(Stored(name)))
    assert {where.split()[0] for where, *_ in found} >= {"alerts", "snapshots", "pane", "versions"}


def test_what_is_written_has_not_changed() -> None:
    """What this release would write for the newest of these files is the same: MessagePack byte for
    byte, JSON value for value, since 2 and 2.0 are one number there.

    If this fails, the form of something has changed: docs/extending.md says what to do, under "The
    form of what is stored". In short, if old and new can read each other's, `python -m
    tests.formats.making` writes new files; if not, it is a new format, which needs a step.
    """
    stored = Stored(NEWEST)
    for where, packed, _, written in contents(stored):
        if not where.startswith("versions"):  # what compresses it may be another release
            assert _plain(written) == _plain(packed), where
    judge = stored.hashes[NAMES.judge(MODEL)]
    for name, packed in judge.items():
        codec = JUDGING.get(name.partition(b":")[0])
        if codec is not None:
            decode, encode = codec
            assert _plain(encode(decode(packed))) == _plain(packed), name
        else:
            assert name in {*BESIDE, b"checksum"}
    for name, packed in stored.hashes[NAMES.route("on-call")].items():
        if name.startswith(b"case:"):
            assert (
                msgspec.msgpack.encode(msgspec.msgpack.decode(packed, type=TrackedIncident))
                == packed
            )
    (day,) = (key for key in stored.hashes if ":pending:" in key)
    for packed in stored.hashes[day].values():
        assert msgspec.msgpack.encode(msgspec.msgpack.decode(packed, type=Waiting)) == packed


def _plain(packed: bytes) -> Any:
    """Return the value of a JSON text; other bytes as they are."""
    return msgspec.json.decode(packed) if packed.startswith((b"{", b"[")) else packed


def test_the_state_of_counting_has_not_changed() -> None:
    """Counting's checkpoint of the newest of these files, loaded and packed again, is the same."""
    fields = Stored(NEWEST).hashes[NAMES.count(MODEL, 0)]
    cells = {"1.0.0": CellMap(LABELLED.schema, LABELLED.reference, labels=True)}
    state = CountingState.unpack(fields, cells)
    names = fields.keys() - BESIDE - {b"checksum", b"offset"}
    state.changed |= names
    written = state.pack_changed()
    assert {name: written[name] for name in names} == {name: fields[name] for name in names}


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("*.spool")))
def test_a_spool_file_is_read(file: str) -> None:
    """The events of an API's spool file are there, and are written the same way."""
    content = (FOLDER / file).read_bytes()
    records, damage = spool_records.read(content)
    assert damage == []
    assert [(one.sequence, one.kind, one.payload) for one in records] == [
        (1, b"p", b'{"id":"1"}'),
        (2, b"l", b'{"prediction_id":"1","label":2}'),
    ]
    frames = [
        spool_records.frame(one.publisher, one.model, one.log, one.sequence, one.payload, one.kind)
        for one in records
    ]
    assert b"".join(frames) == content


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("*.monitor")))
def test_a_clients_spool_file_is_sent(file: str, tmp_path: Path) -> None:
    """A client adopts the file of a client of before, and sends what is in it under its numbers."""
    (tmp_path / file).write_bytes((FOLDER / file).read_bytes())
    spool = Spool(str(tmp_path), MODEL, 1 << 20)
    spool.adopt()
    items = []
    while (unit := spool.take()) is not None:
        items += [item for batch in unit.batches for item in batch.items]
        unit.settle()
    spool.close(keep=True)
    assert [item[2] for item in items] == [b'{"id":"a"}', b'{"prediction_id":"a"}']


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("*.stamps.json")))
def test_stamps_are_read(file: str, tmp_path: Path) -> None:
    """A file of stamps of before still tells that a checkpoint went back."""
    (tmp_path / file).write_bytes((FOLDER / file).read_bytes())
    stamps = Stamps(tmp_path / file)
    stamps.settle_s = 0.0
    seen = stamps.behind(NAMES.count(MODEL, 0), (320, 0))
    assert seen is not None
    assert (seen.place, seen.events) == ((500, 0), 1500)


def test_the_registry_is_read(tmp_path: Path, client: redis.Redis, redis_url: str) -> None:
    """A registry folder of before has its versions, whose checksums are right."""
    put_back(redis_url, NAMES, FOLDER / f"{NEWEST}.backup", tmp_path, replace=True)
    registry = ModelRegistry(tmp_path)
    assert registry.versions(MODEL) == ["1.0.0"]
    assert registry.verify(MODEL) == []
    stored, made = registry.load(MODEL, "1.0.0").reference, LABELLED.reference
    assert [column.name for column in stored.columns] == [column.name for column in made.columns]
    for one, other in zip(stored.columns, made.columns, strict=True):
        assert one.counts == other.counts
        if isinstance(one, NumericReference) and isinstance(other, NumericReference):
            # Another processor makes the last bit of a logarithm differ.
            np.testing.assert_allclose(one.cuts, other.cuts, rtol=1e-14)
    _delete(client, redis_url)


def test_newer_messages_are_refused() -> None:
    """A snapshot or calibration of a newer format is refused in words, and never guessed at."""
    packed = Stored(NEWEST).hashes[f"{NAMES.prefix}:{{{MODEL}}}:current"][b"1.0.0"]
    newer = msgspec.json.encode({**msgspec.json.decode(packed), "format": 2})
    with pytest.raises(msgspec.ValidationError, match="which a newer release of Driftgauge wrote"):
        msgspec.json.decode(newer, type=Snapshot)
