"""The promise of a backtest of the archive holds for a model of several partitions, too."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.commands.backtest import backtest
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.offline.archived.backtesting import known_versions
from driftgauge.consumer.offline.stored_panes import History
from driftgauge.consumer.running.settled import counting_policy
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.events import TICK
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.contract.pane import Alarm, Pane, PaneEntry
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.consumer.builders import divided, event, traffic
from tests.integration.archive import test_counted_again
from tests.integration.archive.test_counted_again import (
    ROWS,
    SPACING_MS,
    WITH_LABELS,
    past,
    revised,
    told,
)
from tests.integration.plant import MODEL, append, settings_of, wait_for, worker_thread
from tests.integration.references.test_new_reference import alerts

PARTITIONS = 3
VERSION = msgspec.structs.replace(
    test_counted_again.VERSION,
    manifest=msgspec.structs.replace(
        test_counted_again.VERSION.manifest,
        partitions=PARTITIONS,
        salts=salts_for(MODEL, PARTITIONS),
    ),
)
BURST = 150
"""Rows of each partition at the end, more than a pane has: a tick closes it."""


def last_rows(partition: int, first: int) -> list[Entry]:
    """Make rows that come now."""
    rows = traffic(np.random.default_rng(partition), BURST)
    now = int(time.time() * 1000)
    return [
        event(now, first + place, row, prediction=1.0, id=f"last-{partition}-{place}")
        for place, row in enumerate(rows)
    ]


class Plant:
    """A model of several partitions, with its log."""

    def __init__(self, client: redis.Redis, url: str, keys: Keys) -> None:
        self.client, self.keys = client, keys.salted(VERSION.manifest.salts)
        self.history = History(url, keys, VERSION.manifest)
        client.hset(keys.versions(MODEL), "1.0.0", VERSION.pack())
        client.sadd(keys.models, MODEL)

    def reached(self, key: str) -> EntryId:
        return EntryId.parse(self.client.hget(key, "offset") or b"0-0")  # type: ignore[arg-type]  # bytes

    def counted(self) -> bool:
        """Tell whether all that is in the logs is counted."""
        for partition in range(PARTITIONS):
            found: Any = self.client.xinfo_stream(self.keys.log(MODEL, partition))
            last = EntryId.parse(found["last-generated-id"])
            if self.reached(self.keys.count(MODEL, partition)) < last:
                return False
        return True

    def ended(self) -> bool:
        """Tell whether a tick stands behind the events of each partition, and all is archived."""
        for partition in range(PARTITIONS):
            found: Any = self.client.xrevrange(self.keys.log(MODEL, partition), count=1)
            closed = not self.client.hget(self.keys.count(MODEL, partition), "pane")
            archived = self.reached(self.keys.archive(MODEL, partition))
            if found[0][1][b"t"] != TICK or not closed or archived < EntryId.parse(found[0][0]):
                return False
        return True

    def judged(self) -> bool:
        """Tell whether judging has come to the end of all panes."""
        judge = self.history.judge()
        for partition in range(PARTITIONS):
            last: Any = self.client.xrevrange(self.keys.panes(MODEL, partition), count=1)
            if judge.progress.offsets.get(partition) != last[0][0].decode():
                return False
        return not judge.held


def test_partitions_are_counted_and_judged_as_live(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each partition's panes have the rows, cells, sources and latencies of the stored ones, and
    its alarms and labels are the same. Until the last panes, which ticks close at once, the alerts
    about windows are those that people were told of, in their order; of detectors, whose alarms go
    past the order of the panes, the same ones. The command tells them.
    """
    registry = ModelRegistry(tmp_path / "registry")
    registry.register(VERSION)
    registry.promote(MODEL, "1.0.0", actor="test")
    plant = Plant(client, redis_url, keys)
    start = int(time.time() * 1000) - ROWS * SPACING_MS - 600_000
    start -= max(0, (start + ROWS * SPACING_MS + 600_000) % 86_400_000 - 86_300_000)
    more = {"archive_url": str(tmp_path / "archive"), "archive_seconds": 0.05, "archive_rows": 400}
    given = settings_of(redis_url, keys, reports_kept=0, pane_events=50, **more)
    logs = divided(past(start), PARTITIONS)
    for partition, entries in enumerate(logs):
        append(client, plant.keys.log(MODEL, partition), entries)
    with worker_thread(given):
        wait_for(plant.counted, "the past")
        for partition, entries in enumerate(logs):
            numbers = {fields[5] for _, fields in entries if fields[3] == b"api"}
            burst = last_rows(partition, len(numbers) + 1)
            append(client, plant.keys.log(MODEL, partition), burst, with_ids=False)
        wait_for(plant.ended, "ticks that close the panes")
        wait_for(plant.judged, "judging")

    settings, said = Settings(**given), list[str]()
    stored = list(plant.history.entries(0, plant.history.judge()))
    store, wanted = FolderStore(tmp_path / "archive"), Range(MODEL)
    known = known_versions(registry, store, wanted, said.append)
    again = list(known.past(counting_policy(settings, 0, 1), store, wanted, said.append).panes())
    assert not said
    for partition in range(PARTITIONS):
        assert_same(*([o for o in found if o.partition == partition] for found in (again, stored)))

    detectors = {one.detector for one in stored if isinstance(one, Alarm)}
    end = start + ROWS * SPACING_MS
    live, rejudged = (
        [one for one in found if one.updated < end]
        for found in (alerts(client, keys), told(again, settings))
    )
    assert in_windows(rejudged, detectors) == in_windows(live, detectors)
    assert fired(rejudged) == fired(live)
    assert {"psi", "e_detector"} <= {rule for rule, _ in fired(live)}

    for name, value in {
        "REDIS_URL": redis_url,
        "KEY_PREFIX": keys.prefix,
        "REGISTRY_DIR": tmp_path / "registry",
        "ARCHIVE_URL": tmp_path / "archive",
        "PANE_EVENTS": 50,
        "EXPECTED_EVENTS_PER_DAY": 5000,
    }.items():
        monkeypatch.setenv(f"DRIFTGAUGE_{name}", str(value))
    ran = CliRunner().invoke(backtest, [MODEL, "--from-archive", "--json"])
    assert ran.exit_code == 0, ran.output
    found = msgspec.json.decode(ran.stdout)
    rules = {(one["rule"], one["feature"]) for one in found["today"]["rules"]}
    assert fired(live) <= rules
    assert rules == fired(told(again, settings))
    assert found["resolution"] == {"pane": sum(isinstance(one, Pane) for one in stored)}


def assert_same(ours: Sequence[PaneEntry], theirs: Sequence[PaneEntry]) -> None:
    """Compare what counting wrote of a partition."""
    assert cells(ours) == cells(theirs)
    assert len(cells(theirs)) > 20
    alarms = [one for one in ours if isinstance(one, Alarm)]
    assert alarms == [one for one in theirs if isinstance(one, Alarm)]
    assert alarms
    labels, expected = revised(ours), revised(theirs)
    assert labels.keys() == expected.keys()
    for name, parts in expected.items():
        for one, other in zip(labels[name], parts, strict=True):
            np.testing.assert_array_equal(one, other)
    assert sum(parts[0] for parts in expected.values()) > WITH_LABELS / PARTITIONS * 0.7


def cells(found: Sequence[PaneEntry]) -> list[Any]:
    """Return what was counted in each pane."""
    panes = [one for one in found if isinstance(one, Pane)]
    return [(one.number, one.start, one.events, one.total, one.blocks) for one in panes]


def in_windows(found: Sequence[Alert], detectors: set[str]) -> list[Any]:
    """Return the transitions whose order is that of the panes."""
    return [
        (
            one.rule,
            one.feature,
            one.state,
            one.severity,
            one.change,
            one.updated,
            one.evidence.value,
        )
        for one in found
        if one.rule not in detectors
    ]


def fired(found: Sequence[Alert]) -> set[tuple[str, str]]:
    """Return which rules fired, each with its feature."""
    return {(one.rule, one.feature) for one in found if one.state == "firing"}
