"""A new reference under load, and roll-ups beside it: exactly once through kill -9, and judged
again to the same alerts.
"""

import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.commands.backtest import backtest
from driftgauge.consumer.commands.references import reference
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.judging.backtest import rejudge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.offline.stored_panes import History
from driftgauge.consumer.running.settled import judging_policy
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import RollUp
from driftgauge.shared.contract.snapshot import ActiveAlert, Snapshot
from driftgauge.shared.reference.accepted import AcceptedReference
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.consumer.builders import CountingPolicy, cell_map, count, event, traffic
from tests.integration.faults.test_crashes import log_entries, stream_of
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    arrived,
    end,
    judged_all,
    publish,
    settings_of,
    wait_for,
    worker_process,
)

SPACING_MS = 2000
PART = 5000


def told(alert: ActiveAlert) -> bool:
    """Whether an alert fires and is told: those of the plant's segments are explained by that over
    all rows.
    """
    return alert.state == "firing" and not (alert.segment and alert.inhibited_by)


def drifted(seed: int, rows: int, start_ms: int, first: int) -> list[Any]:
    """Make events over hours whose smooth feature is shifted after the first 1,500."""
    random = np.random.default_rng(seed)
    calm = max(0, 1501 - first)
    values = traffic(random, calm) + traffic(random, rows - calm, shift=1.0)
    return [
        event(
            start_ms + SPACING_MS * place,
            first + place,
            row,
            latency_ms=1.0,
            prediction=float(random.normal()),
        )
        for place, row in enumerate(values)
    ]


def alerts(client: redis.Redis, keys: Keys) -> list[Alert]:
    return [
        msgspec.json.decode(
            msgspec.json.encode(msgspec.json.decode(fields[b"e"])["data"]), type=Alert
        )
        for _, fields in stream_of(client, keys.alerts(MODEL))
    ]


def current(client: redis.Redis, keys: Keys) -> Snapshot:
    packed = client.hget(keys.current(MODEL), "1.0.0")
    assert isinstance(packed, bytes)
    return msgspec.json.decode(packed, type=Snapshot)


@pytest.mark.long
def test_accept_and_undo_under_load(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is killed before, at and after a new reference has counted every cell and
    written every roll-up as one that never was; the alerts of the old reference end with the
    reason, those of the backtest are the recorded ones; what is accepted is quiet, and alarms again
    when it is undone.
    """
    environment = {
        "REDIS_URL": redis_url,
        "KEY_PREFIX": keys.prefix,
        "REGISTRY_DIR": str(tmp_path / "registry"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"DRIFTGAUGE_{name}", value)
    registry = ModelRegistry(tmp_path / "registry")
    registry.register(PUBLISHED)
    registry.promote(MODEL, "1.0.0", actor="test")
    publish(client, keys)
    settings = settings_of(redis_url, keys, detectors=("e_detector", "integrity"))
    sent, run = 0, CliRunner().invoke
    worker = worker_process(settings, tmp_path / "worker.log")

    def send(entries: list[Any]) -> None:
        nonlocal sent
        append(client, keys.log(MODEL, 0), entries)
        sent += len(entries)

    def kill_at_work() -> None:
        nonlocal worker
        done = arrived(client, keys)
        wait_for(lambda: arrived(client, keys) > done, "some of it", pause_s=0.0005)
        end(worker, signal.SIGKILL)
        worker = worker_process(settings, tmp_path / "worker.log")

    def catch_up() -> None:
        wait_for(
            lambda: arrived(client, keys) == sent and judged_all(client, keys), f"{sent} events"
        )

    start_ms = int(time.time() * 1000) - PART * SPACING_MS - 60_000
    send(drifted(1, PART, start_ms, 1))
    kill_at_work()
    catch_up()
    assert {
        alert.feature or alert.segment for alert in current(client, keys).alerts if told(alert)
    } == {"smooth"}
    accepted = run(
        reference,
        ["accept", MODEL, "--window", "90m", "--reason", "the plant was rebuilt", "--actor", "ann"],
    )
    assert accepted.exit_code == 0, accepted.output
    assert "held against reference 1 from here on" in accepted.output
    after = int(time.time() * 1000) + 60_000
    send(drifted(2, PART, after, sent + 1))
    kill_at_work()
    catch_up()
    assert current(client, keys).reference == 1
    assert not [
        alert
        for alert in current(client, keys).alerts
        if alert.feature == "smooth" or alert.segment
    ]
    assert "Held against reference 1" in current(client, keys).notes[0]
    assert run(reference, ["publish", MODEL]).exit_code == 0  # it is known: nothing happens
    assert (
        "again" in run(reference, ["undo", MODEL, "--reason", "too early", "--actor", "bob"]).output
    )
    send(drifted(3, PART // 2, after + (PART + 10) * SPACING_MS, sent + 1))
    catch_up()
    assert end(worker) == 0
    assert current(client, keys).reference == 0
    assert {
        alert.feature or alert.segment for alert in current(client, keys).alerts if told(alert)
    } == {"smooth"}
    assert "Traceback" not in (tmp_path / "worker.log").read_text()

    ended = [alert for alert in alerts(client, keys) if alert.state == "resolved"]
    assert {alert.summary for alert in ended} >= {
        "reference 1 accepted by ann: the plant was rebuilt"
    }
    listed = run(reference, ["list", MODEL]).output
    assert "the plant was rebuilt" in listed
    assert "too early" in listed

    packed = client.hget(keys.references(MODEL), "1.0.0#1")
    assert isinstance(packed, bytes)
    first = AcceptedReference.unpack(packed)
    maps = {"1.0.0": cell_map(PUBLISHED), "1.0.0#1": CellMap(PUBLISHED.schema, first.profile)}
    policy = CountingPolicy(expected_events_per_day=5000, detectors=("e_detector", "integrity"))
    oracle = count(log_entries(client, keys), maps, policy)
    assert [pane.decode(entry[b"b"]) for _, entry in stream_of(client, keys.panes(MODEL, 0))] == [
        entry for _, _, entry in oracle.panes
    ]
    for span in ("hour", "day"):
        assert stored(client, keys, span) == [
            rolled for name, rolled in oracle.rollups if name == span
        ]
    assert len(stored(client, keys, "hour")) >= 5
    fields: dict[bytes, bytes] = client.hgetall(keys.count(MODEL, 0))  # type: ignore[assignment]
    assert {
        name: value
        for name, value in fields.items()
        if name not in {b"format", b"commit", b"checksum", b"offset"}
    } == oracle.fields

    versions = {
        "1.0.0": JudgedVersion(PUBLISHED.schema, PUBLISHED.reference),
        "1.0.0#1": JudgedVersion(PUBLISHED.schema, first.profile, number=1),
    }
    history = History(redis_url, keys, PUBLISHED.manifest)
    entries = history.entries(0, history.judge())
    again = rejudge(entries, MODEL, versions, [judging_policy(Settings(**settings), 1)])
    assert [alert for _, (found,) in again for alert in found.alerts] == alerts(client, keys)

    (tmp_path / "policy.toml").write_text(f'[models.{MODEL}]\npolicy = "classic"\n')
    shown = run(
        backtest, [MODEL, "--since", "2d", "--policy", str(tmp_path / "policy.toml"), "--json"]
    )
    verdict = msgspec.json.decode(shown.stdout)
    assert verdict["today"]["total"]["alerts"] == sum(
        alert.state == "firing" and alert.change == "state" for alert in alerts(client, keys)
    )
    assert {told["rule"] for told in verdict["policy"]["rules"]} >= {"classic.psi"}
    assert "smooth" in run(backtest, [MODEL]).output


def stored(client: redis.Redis, keys: Keys, span: str) -> list[RollUp]:
    return [
        pane.decode_rollup(entry[b"b"])
        for _, entry in stream_of(client, keys.rollups(MODEL, 0, span))
    ]
