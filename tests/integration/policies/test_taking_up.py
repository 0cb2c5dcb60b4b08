"""Policies that change while workers judge."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.commands.backtest import backtest
from driftgauge.consumer.judging.backtest import rejudge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy, Threshold
from driftgauge.consumer.judging.rules.policy_file import read_policy
from driftgauge.consumer.judging.state import policies_of
from driftgauge.consumer.judging.stated import ModelPolicy, PolicyChange, Proposal
from driftgauge.consumer.offline.stored_panes import History
from driftgauge.consumer.running.settled import judging_policy
from driftgauge.consumer.stages.judging import JudgingStage
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.errors import OwnershipLost
from driftgauge.shared.policies.agreed import Origin
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from driftgauge.shared.settings import Settings
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    arrived,
    end,
    events,
    judged_all,
    publish,
    settings_of,
    wait_for,
    worker_process,
    worker_thread,
)

LIMIT = f"[[models.{MODEL}.thresholds]]\nmetric = 'ks'\nwarning = 0.1\n"
CLASSIC = f"[models.{MODEL}]\npolicy = 'classic'\n"
EVENTS = 9000
START_MS = int(time.time() * 1000) - 400_000
"""Logical time of the first event: lately, so that the panes are kept one by one."""


def changes(client: redis.Redis, keys: Keys) -> list[PolicyChange]:
    fields: dict[bytes, bytes] = client.hgetall(keys.judge(MODEL))  # type: ignore[assignment]
    return policies_of(fields)


def recorded(client: redis.Redis, keys: Keys) -> list[Alert]:
    entries: Any = client.xrange(keys.alerts(MODEL))
    data = (msgspec.json.decode(fields[b"e"])["data"] for _, fields in entries)
    return [msgspec.convert(one, Alert) for one in data]


def again(url: str, keys: Keys, settings: dict[str, Any]) -> list[Alert]:
    """Judge the stored panes again, with the policies that were in force."""
    history = History(url, keys, PUBLISHED.manifest)
    versions = {"1.0.0": JudgedVersion(PUBLISHED.schema, PUBLISHED.reference)}
    entries = history.with_policies(0, history.judge())
    policy = judging_policy(Settings(**settings), 1)
    found = rejudge(entries, MODEL, versions, [], policy)
    return [alert for _, (moved,) in found for alert in moved.alerts]


def bare(alert: Alert) -> Alert:
    """Leave out the report, since a backtest takes none."""
    return msgspec.structs.replace(alert, snapshot="", report="")


def traffic(client: redis.Redis, keys: Keys, part: int) -> None:
    """Append a third of the events, of which the last two thirds drift. Redis makes the ids, since
    the worker may have appended a tick meanwhile.
    """
    size = EVENTS // 3
    found = events(1, EVENTS, START_MS, shift_from=size)
    append(client, keys.log(MODEL, 0), found[size * part : size * (part + 1)], with_ids=False)


def caught_up(client: redis.Redis, keys: Keys, parts: int) -> None:
    size = EVENTS // 3
    wait_for(
        lambda: arrived(client, keys) == size * parts and judged_all(client, keys),
        f"{size * parts} events",
    )


def write(path: Path, text: str) -> None:
    """Replace a file at once, as a careful program does."""
    other = path.with_suffix(".new")
    other.write_text(text)
    other.replace(path)


def test_a_changed_file_is_taken_up_without_a_restart(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The open alert of a limit that is removed resolves with its reason, at a place that the
    checkpoint records; judged again from there the same decisions come, to the last field.
    """
    path = tmp_path / "policy.toml"
    path.write_text(LIMIT)
    publish(client, keys)
    settings = settings_of(redis_url, keys, policy_file=str(path))
    traffic(client, keys, 0)
    traffic(client, keys, 1)
    with worker_thread(settings):
        caught_up(client, keys, 2)
        assert "threshold.ks" in {one.rule for one in recorded(client, keys)}
        write(path, "[default]\npsi_warning = 'much'\n")
        wait_for(lambda: client.hgetall(keys.policy_files), "what the worker tells")
        write(path, CLASSIC)
        wait_for(lambda: len(changes(client, keys)) == 2, "the second policy")
        traffic(client, keys, 2)
        caught_up(client, keys, 3)
    first, second = changes(client, keys)
    assert (first.number, first.judged, second.number) == (1, 0, 2)
    assert second.offsets == {0: f"{second.judged}-0"} or second.judged > 0
    assert second.origin.who.endswith(f":{path}")
    found = recorded(client, keys)
    ended = [one for one in found if one.summary.startswith("the policy changed")]
    assert {one.rule for one in ended} >= {"threshold.ks", "psi"}
    assert {one.state for one in ended} <= {"resolved", "inactive"}
    assert "classic.psi" in {one.rule for one in found}
    assert [bare(one) for one in again(redis_url, keys, settings)] == [bare(one) for one in found]
    monkeypatch.setenv("DRIFTGAUGE_REDIS_URL", redis_url)
    monkeypatch.setenv("DRIFTGAUGE_KEY_PREFIX", keys.prefix)
    ran = CliRunner().invoke(backtest, [MODEL, "--since", "30d", "--json"])
    verdict = msgspec.json.decode(ran.stdout)
    assert {one["rule"] for one in verdict["recorded"]["rules"]} >= {"psi", "classic.psi"}
    assert {one["rule"] for one in verdict["today"]["rules"]} <= {
        "classic.psi",
        "classic.ks",
        "out_of_range",
        "integrity",
        "e_detector",
        "adwin",
    }


@contextmanager
def judging(url: str, keys: Keys, proposed: Proposal | None) -> Iterator[JudgingStage]:
    """Own the judging stage of the model, as a worker does; nobody renews the lease, so it is a
    long one.
    """
    own = raw_reads(connect(url, single_connection_client=True))
    stage = JudgingStage(
        own,
        Settings(**settings_of(url, keys, lease_ms=60_000)),
        MODEL,
        1,
        JudgingPolicy(expected_events_per_day=5000),
        proposed=lambda: proposed,
    )
    assert stage.checkpoint.acquire()
    try:
        yield stage
    finally:
        stage.close()
        own.close()


def proposal(said: ModelPolicy, written: int) -> Proposal:
    return Proposal(said, Origin(written, "ab", "host:policy.toml"))


LIMITED = proposal(ModelPolicy(thresholds=[Threshold("ks", warning=0.1)]), 1)


@pytest.mark.parametrize("applied", [False, True])
def test_a_judge_that_dies_at_the_change_changes_nothing(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
    *,
    applied: bool,
) -> None:
    """Whether the transaction of the change was applied or not when a judge died: the next one
    takes the policy up once, with each alert's end once.
    """
    publish(client, keys)
    traffic(client, keys, 0)
    traffic(client, keys, 1)
    with worker_thread(settings_of(redis_url, keys)):
        caught_up(client, keys, 2)
    with judging(redis_url, keys, LIMITED) as stage:
        stage.load()
    other = proposal(ModelPolicy(policy="classic"), 2)
    with judging(redis_url, keys, other) as stage:
        commit = stage.checkpoint.commit

        def dying(*args: Any) -> None:
            if applied:
                commit(*args)
            raise OwnershipLost("it died")

        monkeypatch.setattr(stage.checkpoint, "commit", dying)
        with pytest.raises(OwnershipLost):
            stage.load()
    assert len(changes(client, keys)) == 1 + applied
    for _ in range(2):
        with judging(redis_url, keys, other) as stage:
            stage.load()
            stage.turn()
    assert [one.number for one in changes(client, keys)] == [1, 2]
    ended = [one for one in recorded(client, keys) if one.summary.startswith("the policy changed")]
    names = [one.fingerprint for one in ended]
    assert names
    assert len(names) == len(set(names))


def test_a_policy_is_taken_up_where_nothing_comes(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """A model without events takes a policy up too, and its alerts of removed limits end."""
    path = tmp_path / "policy.toml"
    path.write_text(LIMIT)
    publish(client, keys)
    traffic(client, keys, 0)
    traffic(client, keys, 1)
    with worker_thread(settings_of(redis_url, keys, policy_file=str(path))):
        caught_up(client, keys, 2)
        write(path, "")
        wait_for(
            lambda: any("no such rule any more" in one.summary for one in recorded(client, keys)),
            "the end of the limit's alert",
        )


@pytest.mark.long
def test_several_partitions_take_a_policy_up_at_one_place(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """With partitions out of step, where panes wait for each other and alarms do not, a backtest
    with the recorded policies takes the recorded decisions in their order.
    """
    salts = salts_for(MODEL, 3)
    manifest = new_manifest(MODEL, "1.0.0", "regression", partitions=3, salts=salts)
    packed = PublishedVersion(manifest, PUBLISHED.schema, PUBLISHED.reference).pack()
    client.hset(keys.versions(MODEL), "1.0.0", packed)  # type: ignore[arg-type]  # bytes
    client.sadd(keys.models, MODEL)
    salted, path = keys.salted(salts), tmp_path / "policy.toml"
    path.write_text(LIMIT)
    settings = settings_of(redis_url, keys, policy_file=str(path))
    history = History(redis_url, keys, manifest)

    def counted(events_in_all: int) -> bool:
        offsets = history.judge().progress.offsets
        ends: list[Any] = [client.xrevrange(salted.panes(MODEL, one), count=1) for one in range(3)]
        fields = [client.hget(salted.count(MODEL, one), "counters") for one in range(3)]
        found = sum(msgspec.json.decode(one)["events"] for one in fields if one)  # type: ignore[arg-type]
        return found == events_in_all and all(
            last and offsets.get(place) == last[0][0].decode() for place, last in enumerate(ends)
        )

    with worker_thread(settings):
        for part, text in enumerate((LIMIT, CLASSIC, LIMIT, "")):
            write(path, f"{text}# {part}\n")
            for partition in range(3):  # the first ones run ahead of the last one
                found = events(10 * partition, 4000, START_MS, shift_from=1500)
                own = found[1000 * part : 1000 * (part + 1)]
                append(client, salted.log(MODEL, partition), own, with_ids=False)
            said = read_policy(text.encode(), "text").of(MODEL)
            wait_for(partial(_in_force, client, keys, said), "the change")
        wait_for(lambda: counted(12_000), "12,000 events of three partitions")
    assert [one.number for one in changes(client, keys)] == [1, 2, 3, 4]
    versions = {"1.0.0": JudgedVersion(PUBLISHED.schema, PUBLISHED.reference)}
    policy = judging_policy(Settings(**settings), 1)
    placed = history.with_policies(0, history.judge())
    judged = rejudge(placed, MODEL, versions, [], policy)
    found_again = [bare(alert) for _, (moved,) in judged for alert in moved.alerts]
    lived = [bare(one) for one in recorded(client, keys)]
    assert found_again[: len(lived)] == lived


def _in_force(client: redis.Redis, keys: Keys, said: ModelPolicy) -> bool:
    found = changes(client, keys)
    return bool(found) and found[-1].said == said


@pytest.mark.long
def test_kill_9_around_changes(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """Two workers of hosts with different files are killed again and again while these change and
    events come: every policy stands once in the record, in the order of its file, and the log
    judged again by the record gives the same alerts.
    """
    paths = [tmp_path / f"{name}.toml" for name in ("one", "two")]
    for path in paths:
        path.write_text(LIMIT)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    publish(client, keys)
    known = [settings_of(redis_url, keys, policy_file=str(path)) for path in paths]
    log = tmp_path / "workers.log"
    workers = [worker_process(one, log) for one in known]
    texts = [CLASSIC, LIMIT + "# again\n", "[default]\nfalse_alarms_per_month = 0.5\n", CLASSIC]
    size = EVENTS // 12
    found = events(1, EVENTS, START_MS, shift_from=EVENTS // 3)
    try:
        for step in range(12):
            part = found[size * step : size * (step + 1)]
            append(client, keys.log(MODEL, 0), part, with_ids=False)
            if step % 3 == 2:
                host, number = step % 2, step // 3
                write(paths[host], f"{texts[number]}# {number}\n")
                if number % 2:
                    said = read_policy(texts[number].encode(), "text").of(MODEL)
                    wait_for(partial(_in_force, client, keys, said), "the change")
                time.sleep(0.3 * number)  # the kill comes before, within and after the take-up
                end(workers[1 - host], signal.SIGKILL)
                end(workers[host], signal.SIGKILL)
                workers = [worker_process(one, log) for one in known]
        wait_for(
            lambda: (
                arrived(client, keys) == EVENTS
                and judged_all(client, keys)
                and changes(client, keys)[-1].said.policy == "classic"
            ),
            "all events and policies",
        )
    finally:
        for worker in workers:
            end(worker)
    policies = changes(client, keys)
    orders = [one.origin.order for one in policies]
    assert orders == sorted(set(orders))
    assert len(policies) >= 2
    lived = [bare(one) for one in recorded(client, keys)]
    assert [bare(one) for one in again(redis_url, keys, known[0])] == lived
