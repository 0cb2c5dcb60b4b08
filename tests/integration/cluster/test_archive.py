"""The archive of a model whose partitions lie on all masters: each stage keeps its place beside
what it reads.
"""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.chaos.stores.cluster import Cluster
from driftgauge.consumer.stages.archiving.incidents import Incidents
from driftgauge.shared.archive.scan import Range, scan
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.fault import ARCHIVED_PANES
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.contract.pane import Pane
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from tests.consumer.builders import raw
from tests.consumer.notifying.builders import transition
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    end,
    events,
    settings_of,
    wait_for,
    worker_process,
)

PARTITIONS = 3
EVENTS = 900
"""Events of each partition."""


def test_all_kinds_are_archived_from_all_slots(
    cluster: Cluster, prefix: str, tmp_path: Path
) -> None:
    """Predictions, refused events, panes and incidents, each row once."""
    nodes, salts = Nodes(cluster.url), salts_for(MODEL, PARTITIONS)
    keys = Keys(prefix).salted(salts)
    clients = [nodes.shared(keys.log(MODEL, place)) for place in range(PARTITIONS)]
    model = nodes.shared(keys.versions(MODEL))
    manifest = new_manifest(MODEL, "1.0.0", "regression", partitions=PARTITIONS, salts=salts)
    version = PublishedVersion(manifest, PUBLISHED.schema, PUBLISHED.reference)
    model.hset(keys.versions(MODEL), "1.0.0", version.pack())
    nodes.shared(keys.models).sadd(keys.models, MODEL)
    store = FolderStore(tmp_path / "archive")
    more = {"archive_url": store.where(), "archive_seconds": 0.2}
    worker = worker_process(
        settings_of(cluster.url, Keys(prefix), lease_ms=3000, **more), tmp_path / "worker.log"
    )

    def rows(kind: Any) -> list[dict[str, Any]]:
        told: list[str] = []
        batches = list(scan(store, kind, Range(MODEL), told.append))
        assert not told
        return pa.Table.from_batches(batches).to_pylist() if batches else []  # type: ignore[no-any-return]  # pyarrow has no types

    def closed(place: int) -> set[int]:
        found: Any = clients[place].xrange(keys.panes(MODEL, place))
        entries = [pane.decode(fields[pane.FIELD]) for _, fields in found]
        return {one.number for one in entries if isinstance(one, Pane)}

    def followed(place: int) -> bool:
        key = keys.follower(MODEL, ARCHIVED_PANES, place)
        return bool(clients[place].hexists(key, "offset"))

    def archived(place: int) -> set[int]:
        return {row["pane"] for row in rows("panes") if row["partition"] == place}

    try:
        wait_for(lambda: all(map(followed, range(PARTITIONS))), "the stages")
        now = int(time.time() * 1000) - 20 * EVENTS
        for place, client in enumerate(clients):
            new = events(place, EVENTS, now, first=1 + place * EVENTS)
            append(
                client, keys.log(MODEL, place), [*new, raw("0-0", 1, b"{", b"bad")], with_ids=False
            )
        model.xadd(keys.incidents(MODEL), {"e": transition("a", 1, model=MODEL)})
        wait_for(lambda: len(rows("predictions")) >= PARTITIONS * EVENTS, "the predictions")
        wait_for(lambda: len(rows("refused")) >= PARTITIONS, "what was refused")
        wait_for(lambda: len(rows("incidents")) >= 1, "the incident")
        for place in range(PARTITIONS):
            wait_for(
                lambda of=place: closed(of) and archived(of) >= closed(of),  # type: ignore[misc]  # a default binds it now
                "the panes",
            )
    finally:
        code = end(worker)
    assert code == 0
    ids = Counter(row["id"] for row in rows("predictions"))
    assert ids == {str(1 + place): 1 for place in range(PARTITIONS * EVENTS)}
    assert Counter(row["partition"] for row in rows("refused")) == dict.fromkeys(
        range(PARTITIONS), 1
    )
    columns = len(PUBLISHED.reference.columns)
    for place in range(PARTITIONS):
        of_place = Counter(row["pane"] for row in rows("panes") if row["partition"] == place)
        assert of_place == dict.fromkeys(of_place, columns)
    offset = model.hget(keys.follower(MODEL, Incidents.key), "offset")
    assert offset == model.xrevrange(keys.incidents(MODEL), count=1)[0][0]
    said = (tmp_path / "worker.log").read_text()
    assert "Traceback" not in said
    assert "CROSSSLOT" not in said
    nodes.close()
