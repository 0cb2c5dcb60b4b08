"""A new reference by the API: a model of three partitions, an API and a worker that share nothing
but Redis.
"""

import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import redis

from driftgauge.shared.contract import pane
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.contract.pane import NewReference, Pane, unpack_counts
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.moments import iso
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.consumer.builders import event, traffic
from tests.integration.faults.test_crashes import stream_of
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    end,
    settings_of,
    wait_for,
    worker_process,
)
from tests.producer.conftest import api_process

PARTITIONS = 3
SPACING_MS = 2000
PART = 4500
PATH = f"/models/{MODEL}/versions/1.0.0/references"


class Plant:
    """Writes events whose smooth feature is off to the logs of all partitions, and waits until they
    were judged.
    """

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client, self.keys = client, keys
        self.logs: dict[int, list[Any]] = {}
        self.random, self.sent, self.now = (
            np.random.default_rng(6),
            0,
            int(time.time() * 1000) - 2 * PART * SPACING_MS,
        )

    def send(self, number: int, shift: float) -> None:
        for place, row in enumerate(traffic(self.random, number, shift=shift)):
            partition, turn = (
                (self.sent + place) % PARTITIONS,
                (self.sent + place) // PARTITIONS + 1,
            )
            self.now += SPACING_MS
            entry = event(
                self.now, turn, row, latency_ms=1.0, prediction=float(self.random.normal())
            )
            self.logs.setdefault(partition, []).append(entry)
        self.sent += number
        for partition, entries in self.logs.items():
            append(self.client, self.keys.log(MODEL, partition), entries, with_ids=False)
        self.logs.clear()
        wait_for(self.is_judged, f"{self.sent} events")

    def is_judged(self) -> bool:
        counted = [
            self.client.hget(self.keys.count(MODEL, place), "counters")
            for place in range(PARTITIONS)
        ]
        if (
            None in counted
            or sum(msgspec.json.decode(one)["events"] for one in counted) < self.sent
        ):  # type: ignore[arg-type]
            return False
        state: dict[str, Any] = msgspec.json.decode(
            self.client.hget(self.keys.judge(MODEL), "state") or b"{}"
        )  # type: ignore[arg-type]
        ends = {str(place): self.last(place) for place in range(PARTITIONS)}
        return state.get("offsets") == ends and not state["waiting"]

    def last(self, partition: int) -> str:
        found: Any = self.client.xrevrange(self.keys.panes(MODEL, partition), count=1)
        return str(found[0][0].decode()) if found else ""

    def entries(self, partition: int) -> list[pane.PaneEntry]:
        return [
            pane.decode(fields[b"b"])
            for _, fields in stream_of(self.client, self.keys.panes(MODEL, partition))
        ]

    def current(self) -> Snapshot:
        packed: Any = self.client.hget(self.keys.current(MODEL), "1.0.0")
        return msgspec.json.decode(packed, type=Snapshot)

    def firing(self) -> set[str]:
        return {alert.feature for alert in self.current().alerts if alert.state == "firing"}


@pytest.mark.long
def test_accept_and_undo_over_three_partitions(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """What the API accepts is the sum of all partitions' cells in the window; every partition
    changes at one place of its own, the alert ends with the reason, what was accepted is quiet, and
    alarms again when it is undone. The worker has no registry, the API no statistics.
    """
    salts = salts_for(MODEL, PARTITIONS)
    manifest = new_manifest(MODEL, "1.0.0", "monitor", partitions=PARTITIONS, salts=salts)
    version = PublishedVersion(manifest, PUBLISHED.schema, PUBLISHED.reference)
    registry = ModelRegistry(tmp_path / "registry")
    registry.register(version)
    registry.promote(MODEL, "1.0.0", actor="test")
    client.hset(keys.versions(MODEL), "1.0.0", version.pack())
    client.sadd(keys.models, MODEL)
    settings = settings_of(
        redis_url, keys, detectors=("e_detector",), registry_dir=str(tmp_path / "none")
    )
    own = {**settings, "registry_dir": registry.folder, "data_dir": tmp_path / "data"}
    worker, plant = (
        worker_process(settings, tmp_path / "worker.log"),
        Plant(client, keys.salted(salts)),
    )
    try:
        with (
            api_process(Settings(**own), tmp_path) as (url, _),
            httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
        ):
            assert http.get(PATH).json() == {
                "model": MODEL,
                "version": "1.0.0",
                "reference": 0,
                "changes": [],
                "next": None,
            }
            plant.send(PART, 1.0)
            assert "smooth" in plant.firing()
            refused = http.post(PATH, json={"window": "2m", "reason": "too short"})
            assert (refused.status_code, refused.headers["content-type"]) == (
                409,
                "application/problem+json",
            )
            assert "a reference needs 1,000" in refused.json()["detail"]

            answer = http.post(PATH, json={"window": "2h", "reason": "the plant was rebuilt"})
            assert answer.status_code == 201, answer.text
            accepted = answer.json()
            check_accepted(accepted, plant, ReferenceStore(registry, MODEL, "1.0.0"))
            plant.send(PART, 1.0)
            assert plant.current().reference == 1
            assert plant.firing().isdisjoint({"smooth"})
            for partition in range(PARTITIONS):
                (change,) = (
                    one for one in plant.entries(partition) if isinstance(one, NewReference)
                )
                assert (change.change, change.number, change.reason) == (
                    1,
                    1,
                    "the plant was rebuilt",
                )

            undone = http.post(f"{PATH}/undo", json={"reason": "too early"})
            assert (undone.status_code, undone.json()["number"], undone.json()["undo"]) == (
                200,
                0,
                True,
            )
            plant.send(PART, 1.0)
            assert plant.current().reference == 0
            assert "smooth" in plant.firing()
            listed = http.get(PATH).json()
            assert listed["reference"] == 0
            assert listed["changes"][1] == accepted
            assert [change["reason"] for change in listed["changes"]] == [
                "too early",
                "the plant was rebuilt",
            ]
            nothing = http.post(f"{PATH}/undo", json={"reason": "once more"})
            assert (nothing.status_code, "nothing to undo" in nothing.json()["detail"]) == (
                409,
                True,
            )
    finally:
        code = end(worker)
    assert code == 0
    assert "Traceback" not in (tmp_path / "worker.log").read_text()
    alerts = [
        msgspec.json.decode(fields[b"e"])["data"]
        for _, fields in stream_of(client, keys.alerts(MODEL))
    ]
    ended = {alert["summary"] for alert in alerts if alert["state"] == "resolved"}
    assert "reference 1 accepted by anonymous: the plant was rebuilt" in ended


def check_accepted(accepted: dict[str, Any], plant: Plant, store: ReferenceStore) -> None:
    """The reference in the registry has the cells of all partitions' panes from its start on,
    before the change.
    """
    made = store.load(1)
    assert (accepted["change"], accepted["number"], accepted["who"]) == (1, 1, "anonymous")
    assert (accepted["rows"], accepted["start"], accepted["end"]) == (
        made.profile.rows,
        iso(made.start),
        iso(made.end),
    )
    cells: list[Any] = []
    for partition in range(PARTITIONS):
        panes = [one for one in plant.entries(partition) if isinstance(one, Pane)]
        mine = [
            unpack_counts(one.blocks["1.0.0"].cells)
            for one in panes
            if made.start <= one.start and one.end <= made.end
        ]
        assert mine
        assert len(mine) < len(panes)
        cells += mine
    counts = np.concatenate([column.counts for column in made.profile.columns])
    assert counts.tolist() == np.sum(cells, axis=0).tolist()
    assert 2000 < accepted["rows"] < PART
