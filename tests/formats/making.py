"""`python -m tests.formats.making NAME` writes the files of the present format, from a real run.

To be run whenever `test_formats.py` says that what is written has changed, with a new name: `3.1`
after `3`, or the number of a new format. Files that a release had stay, for as long as their format
is read; files that no release had yet are deleted, and written anew under their name.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import redis

from driftgauge.client.spool import Spool
from driftgauge.client.unit import EVENT, LABEL
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.producer.publishing import spool_records
from driftgauge.producer.publishing.spool_file import create
from driftgauge.shared.backup.backing_up import back_up
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.events import LABEL as LABEL_ENTRY
from driftgauge.shared.contract.events import PREDICTION, Label, encode
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.stamps import Stamps
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    counters,
    events,
    judged_all,
    settings_of,
    wait_for,
    worker_thread,
)

FOLDER: Final = Path(__file__).parent
KEYS: Final = Keys("formats")
EVENTS, SHIFTED, LABELS, WAITING = 1500, 900, 300, 40
"""Events that are counted, the first of them with a shifted feature, labels, and events that wait
in the log.
"""
PUBLISHER: Final = b"api"
ROUTE: Final = "on-call"
POLICY: Final = f"""
[[routes]]
name = "{ROUTE}"
target = {{ type = "webhook", url = "http://127.0.0.1:9/hook" }}
"""
LABELLED: Final = msgspec.structs.replace(
    PUBLISHED, manifest=msgspec.structs.replace(PUBLISHED.manifest, labels=True)
)


def labels(start_ms: int, first: int) -> list[Entry]:
    """Make labels of the first predictions."""
    return [
        (
            f"{start_ms}-{place}".encode(),
            [
                *(b"t", LABEL_ENTRY, b"p", b"labels", b"s", str(place).encode()),
                *(b"e", encode(Label(f"{first + place - 1}", 0.25, start_ms))),
            ],
        )
        for place in range(1, LABELS + 1)
    ]


def run(client: redis.Redis, url: str, folder: Path) -> None:
    """Let a worker count and judge, and leave some events in the log."""
    client.hset(KEYS.versions(MODEL), "1.0.0", LABELLED.pack())
    client.sadd(KEYS.models, MODEL)
    (folder / "policy.toml").write_text(POLICY)
    start_ms = int(time.time() * 1000) - 100_000
    log, total = KEYS.log(MODEL, 0), EVENTS + WAITING
    made = events(1, total, start_ms, shift_from=SHIFTED)
    settings = settings_of(
        url,
        KEYS,
        pane_events=100,
        policy_file=str(folder / "policy.toml"),
        reports_dir=str(folder / "reports"),
        data_dir=str(folder / "data"),
    )
    with worker_thread(settings):
        append(client, log, made[:EVENTS])
        append(client, log, labels(start_ms + 20 * EVENTS, 1))
        wait_for(lambda: counters(client, KEYS).events == EVENTS, "the events")
        wait_for(lambda: counters(client, KEYS).labels.joined == LABELS, "the labels")
        wait_for(lambda: judged_all(client, KEYS), "the panes")
        wait_for(lambda: _followed(client), "the reports")
        wait_for(lambda: client.hget(KEYS.route(ROUTE), f"offset:{MODEL}"), "the route")
    append(client, log, made[EVENTS:], with_ids=False)


def _followed(client: redis.Redis) -> bool:
    last: Any = client.xrevrange(KEYS.snapshots(MODEL), count=1)
    followed = client.hget(KEYS.follower(MODEL, "reports"), "offset")
    return bool(last) and followed == last[0][0]


def spool_files(name: str, folder: Path) -> None:
    """Write a spool file of an API, and one of a client."""
    file = create(folder / "spool")
    log = KEYS.log(MODEL, 0).encode()
    file.append(
        b"".join(
            spool_records.frame(PUBLISHER, MODEL, log, number, payload, kind)
            for number, payload, kind in (
                (1, b'{"id":"1"}', PREDICTION),
                (2, b'{"prediction_id":"1","label":2}', LABEL_ENTRY),
            )
        )
    )
    shutil.copyfile(file.path, FOLDER / f"{name}.spool")
    file.discard()
    spool = Spool(str(folder / "client"), MODEL, 1 << 20)
    spool.put(EVENT, 7, b'{"id":"a"}')
    spool.put(LABEL, 7, b'{"prediction_id":"a"}')
    spool.close(keep=True)
    (left,) = (folder / "client").glob("*.monitor")
    shutil.copyfile(left, FOLDER / f"{name}.monitor")


def make(name: str) -> None:
    """Write the files."""
    with tempfile.TemporaryDirectory(prefix="formats-") as place:
        folder = Path(place)
        with EmbeddedRedis(folder / "redis") as server, connect(server.url) as client:
            run(client, server.url, folder)
            ModelRegistry(folder / "registry").register(LABELLED)
            nodes = Nodes(server.url)
            back_up(nodes, KEYS, FOLDER / f"{name}.backup", registry=folder / "registry")
            nodes.close()
        spool_files(name, folder)
        stamps = Stamps(FOLDER / f"{name}.stamps.json")
        stamps.note(KEYS.count(MODEL, 0), (500, 0), events=EVENTS)
        stamps.save(now=True)
    (FOLDER / f"{name}.stamps.lock").unlink()


if __name__ == "__main__":
    make(sys.argv[1])
