"""Panes, alerts and snapshots against those of a run over the same log that nothing disturbed."""

import json
import tempfile
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import redis

from benchmarks.chaos.plant.model import VERSION, keys_of
from benchmarks.chaos.plant.plant import QUIET_WORKER, Plant
from benchmarks.chaos.plant.process import Process, wait_for
from benchmarks.chaos.plant.progress import progress
from benchmarks.chaos.record import Record
from benchmarks.chaos.verdict import Verdict
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.pane import FIELD
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import PublishedVersion
from driftgauge.shared.rules.monitor import BLIND

CHUNK = 2000
SLOWEST_PER_S = 500
"""Events a second that an undisturbed run counts and judges at least."""
WINDOW_RULES = {"psi", "missing", "unseen", "out_of_range", "threshold.latency_p99_ms"}
"""Rules that read windows alone."""
BESIDE_ALARMS = {"snapshot", "report", "group", "action", "advice", "inhibited_by", "notify"}
"""Fields of an alert that also depend on alarms at the same time."""


def compare_alerts(verdict: Verdict, client: redis.Redis, plant: Plant, record: Record) -> None:
    """Compare panes, alerts and snapshots with those of a run over the same log that nothing
    disturbed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="twin-") as folder,
        EmbeddedRedis(Path(folder)) as server,
    ):
        own = {"redis_url": server.url, "data_dir": Path(folder) / "data"}
        settings = plant.settings.model_copy(update=own)
        worker = Process("twin", QUIET_WORKER, settings, plant.folder)
        with connect(server.url) as twin:
            for model, version in plant.versions.items():
                _copy(record, twin, model, version)
            worker.start()
            try:
                patience_s = 90 + verdict.in_log / SLOWEST_PER_S
                done = wait_for(lambda: progress(twin, plant.versions).all_counted, patience_s)
            finally:
                worker.end()
            verdict.require(done, "the undisturbed run did not come to its end")
            for model, version in plant.versions.items():
                if model not in record.judged_before:
                    _alerts(verdict, client, twin, model, version)
                for partition in range(version.manifest.partitions):
                    key = keys_of(version).panes(model, partition)
                    verdict.require(
                        _panes(client, key) == _panes(twin, key),
                        f"{model}.{partition}: the panes are not those of an undisturbed run",
                    )


def _panes(client: redis.Redis, key: str) -> list[tuple[bytes, bytes]]:
    """Read panes by their ids, whoever wrote them."""
    entries: Any = client.xrange(key)
    return [(entry_id, fields[FIELD]) for entry_id, fields in entries]


def _copy(record: Record, twin: redis.Redis, model: str, version: PublishedVersion) -> None:
    """Copy a model's log, with its entry ids."""
    keys = keys_of(version)
    for partition in range(version.manifest.partitions):
        log = keys.log(model, partition)
        entries = record.entries((model, partition))
        for start in range(0, len(entries), CHUNK):
            pipe = twin.pipeline(transaction=False)
            for entry_id, fields in entries[start : start + CHUNK]:
                pipe.execute_command("XADD", log, entry_id, *chain.from_iterable(fields.items()))
            pipe.execute()
    twin.hset(keys.versions(model), VERSION, version.pack())
    twin.sadd(keys.models, model)


def _alerts(
    verdict: Verdict, client: redis.Redis, twin: redis.Redis, model: str, version: PublishedVersion
) -> None:
    keys, alone = keys_of(version), version.manifest.partitions == 1
    written, undisturbed = (_events(one, keys.alerts(model)) for one in (client, twin))
    names = Counter(alert["id"] for alert in written)
    twice = sum(names.values()) - len(names)
    verdict.alerts_twice += twice
    verdict.require(not twice, f"{model}: {twice} alerts were written twice")
    alerts, expected = (found if alone else _merged(found) for found in (written, undisturbed))
    verdict.alerts += len(alerts)
    verdict.alerts_expected += len(expected)
    verdict.require(
        alerts == expected,
        f"{model}: {len(alerts)} alerts, not the {len(expected)} of an undisturbed run",
    )
    if alone:
        snapshots = _events(client, keys.snapshots(model)) == _events(twin, keys.snapshots(model))
        verdict.require(snapshots, f"{model}: the snapshots are not those of an undisturbed run")


def _merged(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Remove the fields that depend on when alarms of other partitions were read, since these
    bypass the merge (docs/exactly-once.md, judging in another slot).
    """
    judged = [alert["data"] for alert in alerts if alert["data"]["rule"] in WINDOW_RULES]
    left = [
        {name: value for name, value in alert.items() if name not in BESIDE_ALARMS}
        for alert in judged
    ]
    return [{**alert, "evidence": {**alert["evidence"], "events": 0}} for alert in left]


def _events(client: redis.Redis, stream: str) -> list[dict[str, Any]]:
    """Read alerts or snapshots, without what the watchdog says by the clock."""
    entries: Any = client.xrange(stream)
    found = [json.loads(fields[b"e"]) for _, fields in entries]
    return [one for one in found if not one["data"].get("rule", "").startswith(BLIND.of(""))]
