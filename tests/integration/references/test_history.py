"""What is read back of the panes: every event once at the finest resolution that is left, in the
order it was judged.
"""

import time
from typing import Any

import msgspec
import numpy as np
import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.commands.backtest import backtest
from driftgauge.consumer.judging.backtest import rejudge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.offline.stored_panes import History
from driftgauge.consumer.running.settled import judging_policy
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.contract.pane import Alarm, NewReference, Pane, RollUp, unpack_counts
from driftgauge.shared.errors import BadData, DriftgaugeError
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from driftgauge.shared.settings import Settings
from tests.consumer.builders import NOON, cell_map, count, event, tick, traffic
from tests.consumer.counting.test_new_reference import POLICY, change
from tests.integration.faults.test_crashes import stream_of
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    arrived,
    events,
    settings_of,
    wait_for,
    worker_thread,
)
from tests.integration.references.test_new_reference import alerts

MAPS = {"1.0.0": cell_map(PUBLISHED), "1.0.0#1": cell_map(PUBLISHED)}
HOUR_MS = 3_600_000
NODE = 100
"""Entries that approximate trimming may leave."""


def test_every_event_is_read_once_whatever_was_trimmed(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """Where panes are gone their hours are used, where hours are gone their days; nothing is read
    twice, and no alarm that still stands somewhere is lost.
    """
    random = np.random.default_rng(0)
    shifts = [0.0] * 1200 + [2.0] * 1800
    values = [traffic(random, 1, shift)[0] for shift in shifts]
    log = [event(NOON + 90_000 * place, place + 1, row) for place, row in enumerate(values)]
    counted = count([*log, tick(NOON + 90_000 * len(log))], MAPS, POLICY)
    stored, panes = (
        keys.panes(MODEL, 0),
        [entry for _, _, entry in counted.panes if isinstance(entry, Pane)],
    )
    for number, suffix, entry in counted.panes:
        client.xadd(stored, {pane.FIELD: pane.encode(entry)}, id=f"{number}-{suffix}")
    for span, rolled in counted.rollups:
        client.xadd(
            keys.rollups(MODEL, 0, span),
            {pane.FIELD: pane.encode(rolled)},
            id=f"{rolled.pane.number}-0",
        )
    history = History(redis_url, keys, PUBLISHED.manifest)

    def read() -> tuple[int, list[int], set[tuple[str, str]]]:
        found = list(history.entries(0, history.judge()))
        cells = sum(
            unpack_counts(part.cells)
            for one in found
            if isinstance(one, Pane)
            for part in one.blocks.values()
        )
        alarms = {(one.detector, one.column) for one in found if isinstance(one, Alarm)}
        return (
            sum(one.events for one in found if isinstance(one, Pane)),
            np.asarray(cells).tolist(),
            alarms,
        )

    whole = read()
    assert (whole[0], history.used) == (sum(one.events for one in panes), {"pane": len(panes)})
    assert whole[2]
    hours = [rolled for span, rolled in counted.rollups if span == "hour"]
    middle = next(
        at
        for at, rolled in enumerate(hours)
        if at > len(hours) // 2 and rolled.first < rolled.pane.number
    )
    for first in (
        hours[middle].first,
        hours[middle].pane.number,
    ):  # at the beginning of an hour, and within it
        client.xtrim(stored, minid=f"{first}-0", approximate=False)
        assert read() == whole
        assert history.used["hour"] == middle + (first > hours[middle].first)
    client.xtrim(
        keys.rollups(MODEL, 0, "hour"),
        minid=f"{hours[middle // 2].pane.number}-0",
        approximate=False,
    )
    assert read() == whole
    assert set(history.used) == {"day", "hour", "pane"}
    client.delete(stored)
    gone = sum(one.events for one in panes if one.number > hours[-1].pane.number)
    assert read()[0] == whole[0] - gone


def test_a_new_reference_is_known_when_its_panes_are_gone(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """The judge remembers the changes, so that old hours are judged by the reference of their
    time.
    """
    values = traffic(np.random.default_rng(0), 400)
    log = [event(NOON + 90_000 * place, place + 1, row) for place, row in enumerate(values)]
    log.insert(200, change(NOON + 90_000 * 199, 1, 1, suffix=10**6))
    counted = count([*log, tick(NOON + 90_000 * 400)], MAPS, POLICY)
    for span, rolled in counted.rollups:
        client.xadd(
            keys.rollups(MODEL, 0, span),
            {pane.FIELD: pane.encode(rolled)},
            id=f"{rolled.pane.number}-0",
        )
    changed = next(entry for _, _, entry in counted.panes if isinstance(entry, NewReference))
    progress = {"references": {"1.0.0": {"change": 1, "number": 1, "past": [changed]}}}
    client.hset(keys.judge(MODEL), "state", msgspec.json.encode(progress))
    history = History(redis_url, keys, PUBLISHED.manifest)
    found = list(history.entries(0, history.judge()))
    place = found.index(changed)
    assert all(entry.end <= changed.time for entry in found[:place] if isinstance(entry, Pane))
    assert all(entry.end >= changed.time for entry in found[place:] if isinstance(entry, Pane))


def test_alarms_of_several_partitions_come_at_their_recorded_turn(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """With several partitions, where alarms bypass the merge, a backtest takes the recorded
    decisions in their order.
    """
    salts = salts_for(MODEL, 3)
    manifest = new_manifest(MODEL, "1.0.0", "regression", partitions=3, salts=salts)
    client.hset(
        keys.versions(MODEL),
        "1.0.0",
        PublishedVersion(manifest, PUBLISHED.schema, PUBLISHED.reference).pack(),
    )
    client.sadd(keys.models, MODEL)
    salted, start_ms = keys.salted(salts), int(time.time() * 1000) - 100_000
    settings = settings_of(redis_url, keys)
    with worker_thread(settings):
        for part in range(4):  # the partitions take turns, so that some run ahead
            for partition in range(3):
                found = events(10 * partition, 4000, start_ms, shift_from=1500)[
                    1000 * part : 1000 * (part + 1)
                ]
                append(client, salted.log(MODEL, partition), found)
        history = History(redis_url, keys, manifest)

        def all_judged() -> bool:
            offsets = history.judge().progress.offsets
            ends: list[Any] = [
                client.xrevrange(salted.panes(MODEL, partition), count=1) for partition in range(3)
            ]
            done = [
                bool(last) and offsets.get(place) == last[0][0].decode()
                for place, last in enumerate(ends)
            ]
            fields = [
                client.hget(salted.count(MODEL, partition), "counters") for partition in range(3)
            ]
            counted = sum(msgspec.json.decode(packed)["events"] for packed in fields if packed)  # type: ignore[arg-type]
            return counted == 12_000 and all(done)

        wait_for(all_judged, "12,000 events of three partitions")
    recorded = alerts(client, keys)
    judge = history.judge()
    assert judge.progress.alarms
    versions = {"1.0.0": JudgedVersion(PUBLISHED.schema, PUBLISHED.reference)}
    found = rejudge(
        history.entries(0, judge), MODEL, versions, [judging_policy(Settings(**settings), 1)]
    )
    again = [alert for _, (moved,) in found for alert in moved.alerts]
    assert again[: len(recorded)] == recorded
    assert {alert.rule for alert in recorded} >= {"psi", "e_detector"}


def test_the_command_says_what_is_not_there(
    redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown model, a time that is none and options that do not belong together are errors, not
    empty tables.
    """
    monkeypatch.setenv("DRIFTGAUGE_REDIS_URL", redis_url)
    monkeypatch.setenv("DRIFTGAUGE_KEY_PREFIX", keys.prefix)
    run = CliRunner().invoke
    assert isinstance(run(backtest, ["nobody"]).exception, DriftgaugeError)
    assert isinstance(run(backtest, ["nobody", "--since", "soon"]).exception, BadData)
    assert "belong to --data" in run(backtest, ["nobody", "--version", "1.0.0"]).output
    assert isinstance(run(backtest, ["nobody", "--policy", "absent.toml"]).exception, BadData)


def rolled_up(client: redis.Redis, keys: Keys, span: str) -> list[RollUp]:
    return [
        pane.decode_rollup(entry[b"b"])
        for _, entry in stream_of(client, keys.rollups(MODEL, 0, span))
    ]


def test_old_roll_ups_and_panes_are_trimmed(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """Panes, hours and days go by the age at which they were written, each by its own setting:
    nothing grows without end.
    """
    client.hset(keys.versions(MODEL), "1.0.0", PUBLISHED.pack())
    client.sadd(keys.models, MODEL)
    hours = 600
    start_ms = int(time.time() * 1000) - hours * HOUR_MS
    values = traffic(np.random.default_rng(0), hours)
    log = [event(start_ms + HOUR_MS * place, place + 1, row) for place, row in enumerate(values)]
    append(client, keys.log(MODEL, 0), log)
    kept = {"hour_retention_days": 7, "day_retention_days": 12}
    settings = settings_of(
        redis_url, keys, commit_events=50, detectors=(), snapshot_seconds=10**9, **kept
    )
    with worker_thread(settings):
        wait_for(lambda: arrived(client, keys) == hours, f"{hours} events")
    by_hour, by_day = rolled_up(client, keys, "hour"), rolled_up(client, keys, "day")
    assert client.xlen(keys.panes(MODEL, 0)) < 24 + NODE
    span = (by_hour[-1].pane.end - by_hour[0].pane.start) // HOUR_MS
    assert 7 * 24 <= span <= 8 * 24 + 2 * NODE
    assert 12 <= len(by_day) <= 13 + NODE
    # a pane is an hour old with its second event
    assert [hour.pane.events for hour in by_hour] == [2] * len(by_hour)
