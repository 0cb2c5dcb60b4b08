"""The promise of a backtest of the archive: it is what the workers counted and judged, where both
are there.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.commands.backtest import backtest
from driftgauge.consumer.commands.references import reference
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.judging.backtest import rejudge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.offline.archived.backtesting import known_versions
from driftgauge.consumer.offline.stored_panes import History
from driftgauge.consumer.running.settled import counting_policy, judging_policy
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.events import LABEL, TICK, Label, encode
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import (
    Alarm,
    Delta,
    NewReference,
    Pane,
    PaneEntry,
    unpack_counts,
)
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.consumer.builders import event, published, raw, traffic
from tests.integration.plant import (
    MODEL,
    append,
    counters,
    judged_all,
    settings_of,
    wait_for,
    worker_thread,
)

MADE = published(rows=5000, segments=("city",))
VERSION = msgspec.structs.replace(
    MADE, manifest=msgspec.structs.replace(MADE.manifest, labels=True)
)
ROWS, SPACING_MS = 3600, 1200
BURST = 600
WITH_LABELS = 3000


def label(entry_id: str, number: int, prediction: int, value: float) -> Entry:
    entry = raw(entry_id, number, encode(Label(str(prediction), value, 1)), b"labels")
    entry[1][1] = LABEL
    return entry


def past(start_ms: int) -> list[Entry]:
    """Make a log of more than an hour whose last third drifts, with labels and their corrections,
    late events, and entries that came twice.
    """
    random = np.random.default_rng(11)
    rows = traffic(random, 2 * ROWS // 3) + traffic(random, ROWS - 2 * ROWS // 3, shift=1.5)
    made: list[Entry] = []
    for place, row in enumerate(rows):
        ms = start_ms + SPACING_MS * place
        one = event(
            ms,
            place + 1,
            row,
            time=ms - (3_600_000 if place % 19 == 0 else 5),
            prediction=float(place % 9),
            latency_ms=1.5,
            source="batch" if place % 11 == 0 else "online",
        )
        made.append(one)
        if place % 10 == 0:  # sent again after a lost answer
            made.append((f"{ms + 1}-7".encode(), one[1]))
        if place < WITH_LABELS:
            at = ms + 500_000 + (7 if place % 2 else 300)
            made.append(label(f"{at}-1", place + 1, place + 1, float(place % 9) + 0.25))
            if place % 20 == 0:
                made.append(label(f"{at + 90_000}-2", ROWS + place + 1, place + 1, 30.0))
    return sorted(made, key=lambda entry: EntryId.parse(entry[0]))


def burst(first: int) -> list[Entry]:
    random = np.random.default_rng(first)
    now = int(time.time() * 1000)
    return [
        event(now, first + place, row, prediction=1.0)
        for place, row in enumerate(traffic(random, BURST))
    ]


def revised(found: Iterable[PaneEntry]) -> dict[tuple[int, str], list[Any]]:
    """Sum up what labels revised in each pane: rows, labels' cells, and segments."""
    totals: dict[tuple[int, str], list[Any]] = {}
    for delta in found:
        for one in delta.revised if isinstance(delta, Delta) else ():
            parts: list[Any] = [one.labelled, one.corrected]
            parts += [
                unpack_counts(packed) if packed else np.zeros(1, np.int64)
                for packed in (one.delays, one.labels, one.segments)
            ]
            known = totals.get((one.pane, one.version))
            totals[one.pane, one.version] = (
                parts if known is None else [a + b for a, b in zip(known, parts, strict=True)]
            )
    return totals


def told(entries: Sequence[PaneEntry], settings: Settings) -> list[Alert]:
    versions = {"1.0.0": JudgedVersion.of(VERSION)}
    policy = judging_policy(settings, 1)
    return [
        alert
        for _, (moved,) in rejudge(entries, MODEL, versions, [policy])
        for alert in moved.alerts
    ]


def test_the_archive_is_counted_and_judged_as_live(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each pane of the archive has the rows, cells, sources and latencies of the stored one, each
    pane's labels are the same, and so are the alarms and the alerts; also where a tick closed a
    pane.
    """
    registry = ModelRegistry(tmp_path / "registry")
    registry.register(VERSION)
    registry.promote(MODEL, "1.0.0", actor="test")
    client.hset(keys.versions(MODEL), "1.0.0", VERSION.pack())
    client.sadd(keys.models, MODEL)
    start = int(time.time() * 1000) - ROWS * SPACING_MS - 600_000
    start -= max(0, (start + ROWS * SPACING_MS + 600_000) % 86_400_000 - 86_300_000)
    more = {"archive_url": str(tmp_path / "archive"), "archive_seconds": 0.05, "archive_rows": 900}
    given = settings_of(redis_url, keys, reports_kept=0, pane_events=100, **more)
    log = keys.log(MODEL, 0)
    append(client, log, past(start))

    def archived() -> str:
        return (client.hget(keys.archive(MODEL, 0), "offset") or b"0-0").decode()  # type: ignore[union-attr]  # bytes

    def ended() -> bool:
        """Tell whether a tick stands behind all events, and all is counted."""
        found: Any = client.xrevrange(log, count=1)
        behind = found and found[0][1].get(b"t") == TICK
        closed: Any = client.hget(keys.count(MODEL, 0), "pane")
        return bool(behind) and not closed

    with worker_thread(given):
        for place in range(3):
            number = ROWS + BURST * place
            wait_for(lambda n=number: counters(client, keys).events >= n, "the events")
            if place:
                wait_for(ended, "a tick that closes the full pane")
            if place < 2:
                append(client, log, burst(ROWS + 1 + BURST * place), with_ids=False)
        last = client.xrevrange(log, count=1)[0][0].decode()
        wait_for(lambda: EntryId.parse(archived()) >= EntryId.parse(last), "the archive")
        wait_for(lambda: judged_all(client, keys), "judging")

    settings = Settings(**given)
    history = History(redis_url, keys, VERSION.manifest)
    stored = list(history.entries(0, history.judge()))
    store, said = FolderStore(tmp_path / "archive"), list[str]()
    wanted = Range(MODEL)
    known = known_versions(registry, store, wanted, said.append)
    again = list(known.past(counting_policy(settings, 0, 1), store, wanted, said.append).panes())
    assert not said

    panes, expected = ([one for one in part if isinstance(one, Pane)] for part in (again, stored))
    assert len(expected) > 30
    assert [(one.number, one.start, one.events, one.total) for one in panes] == [
        (one.number, one.start, one.events, one.total) for one in expected
    ]
    assert [one.blocks for one in panes] == [one.blocks for one in expected]
    alarms = [one for one in again if isinstance(one, Alarm)]
    assert alarms == [one for one in stored if isinstance(one, Alarm)]
    assert alarms
    ours, theirs = revised(again), revised(stored)
    assert ours.keys() == theirs.keys()
    for name, parts in theirs.items():
        for one, other in zip(ours[name], parts, strict=True):
            np.testing.assert_array_equal(one, other)
    assert sum(parts[0] for parts in theirs.values()) > WITH_LABELS * 0.8

    alerts, wanted_alerts = told(again, settings), told(stored, settings)
    assert {"psi", "e_detector"} <= {alert.rule for alert in wanted_alerts}
    assert [(one.rule, one.feature, one.state, one.severity, one.change) for one in alerts] == [
        (one.rule, one.feature, one.state, one.severity, one.change) for one in wanted_alerts
    ]

    for name, value in {
        "REDIS_URL": redis_url,
        "KEY_PREFIX": keys.prefix,
        "REGISTRY_DIR": tmp_path / "registry",
        "ARCHIVE_URL": tmp_path / "archive",
        "PANE_EVENTS": 100,
        "EXPECTED_EVENTS_PER_DAY": 5000,
    }.items():
        monkeypatch.setenv(f"DRIFTGAUGE_{name}", str(value))
    ran = CliRunner().invoke(backtest, [MODEL, "--from-archive", "--json"])
    assert ran.exit_code == 0, ran.output
    found = msgspec.json.decode(ran.stdout)
    fired = {(one["feature"], one["rule"]) for one in found["today"]["rules"]}
    assert fired == {(one.feature, one.rule) for one in wanted_alerts if one.state == "firing"}
    assert found["resolution"] == {"pane": len(panes)}

    day = time.strftime("%Y-%m-%d", time.gmtime(start / 1000))
    asked = ["accept", MODEL, "--from-archive", "--since", day, "--reason", "rebuilt", "--json"]
    ran = CliRunner().invoke(reference, asked)
    assert ran.exit_code == 0, ran.output
    accepted = msgspec.json.decode(ran.stdout)
    online = sum(one.blocks["1.0.0"].rows for one in panes)
    assert (accepted["reference"], accepted["rows"]) == (1, online)

    def taken_up() -> bool:
        found: Any = client.xrange(keys.panes(MODEL, 0))
        entries = [pane.decode(fields[pane.FIELD]) for _, fields in found]
        return any(isinstance(one, NewReference) and one.number == 1 for one in entries)

    with worker_thread(given):
        wait_for(taken_up, "the new reference")
