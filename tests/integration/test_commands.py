"""Acknowledge and silence on a real Redis: from the command line through judging to the alert
stream.
"""

import getpass
import time
from typing import Any

import msgspec
import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.cli import COMMANDS
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.stages.judging import JudgingStage
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.consumer.worker import Worker
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract import commands
from driftgauge.shared.contract.commands import Acknowledge
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import ConfigurationError, OwnershipLost
from driftgauge.shared.settings import Settings
from tests.integration.plant import (
    MODEL,
    append,
    arrived,
    events,
    judged_all,
    publish,
    settings_of,
    wait_for,
    worker_thread,
)

ALERTS = next(command for command in COMMANDS if command.name == "alerts")


def alerts(client: redis.Redis, keys: Keys) -> list[dict[str, Any]]:
    entries: Any = client.xrange(keys.alerts(MODEL))
    return [msgspec.json.decode(fields[b"e"]) for _, fields in entries]


def marks(client: redis.Redis, keys: Keys) -> list[dict[str, Any]]:
    return [
        one for one in alerts(client, keys) if one["data"]["change"] in {"acknowledged", "silenced"}
    ]


def drift(client: redis.Redis, redis_url: str, keys: Keys) -> str:
    """Let a worker judge a drift; give the fingerprint of an alert that fires."""
    publish(client, keys)
    append(
        client,
        keys.log(MODEL, 0),
        events(1, 6000, int(time.time() * 1000) - 200_000, shift_from=3000),
    )
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: arrived(client, keys) == 6000 and judged_all(client, keys), "6,000 events")
    current = msgspec.json.decode(client.hget(keys.current(MODEL), "1.0.0"))  # type: ignore[arg-type]
    return str(
        next(alert["fingerprint"] for alert in current["alerts"] if alert["state"] == "firing")
    )


def test_commands_from_the_command_line(
    client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command line asks is written as a transition by the worker, with its user; malformed
    entries stop nothing.
    """
    monkeypatch.setenv("DRIFTGAUGE_REDIS_URL", redis_url)
    monkeypatch.setenv("DRIFTGAUGE_KEY_PREFIX", keys.prefix)
    name = drift(client, redis_url, keys)
    client.xadd(keys.commands(MODEL), {"junk": "1"})
    run = CliRunner().invoke
    assert "Asked of plant" in run(ALERTS, ["acknowledge", name, "--note", "mine"]).output
    assert "Asked of plant" in run(ALERTS, ["silence", name, "--for", "2h"]).output
    client.xadd(keys.commands(MODEL), {commands.FIELD: "{"})
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: len(marks(client, keys)) == 2, "both marks")
    marked = marks(client, keys)
    assert [one["type"].removeprefix("driftgauge.alert.") for one in marked] == [
        "acknowledged",
        "silenced",
    ]
    assert marked[0]["data"]["acknowledged"]["who"] == getpass.getuser()
    assert (
        marked[1]["data"]["silenced"]["until"] - marked[1]["data"]["silenced"]["time"] == 7_200_000
    )
    state = msgspec.json.decode(client.hget(keys.judge(MODEL), "state"))  # type: ignore[arg-type]
    assert state["commands_refused"] == 2
    shown = run(ALERTS, ["--all"]).output
    assert "ACKNOWLEDGED" in shown
    assert name in shown
    for wrong, said in (
        (["silence", name, "--for", "soon"], "30m, 2h or 3d"),
        (["acknowledge", "0" * 16], "No open alert"),
    ):
        found = run(ALERTS, wrong)
        assert said in str(found.exception)


def test_a_command_is_applied_exactly_once(client: redis.Redis, redis_url: str, keys: Keys) -> None:
    """The command's id is committed with its transition: a judge that fails before the commit
    applies it again, one that loads after it does not.
    """
    name = drift(client, redis_url, keys)

    def judge() -> JudgingStage:
        settings = Settings(**settings_of(redis_url, keys))
        made = JudgingStage(
            raw_reads(connect(redis_url, single_connection_client=True)),
            settings,
            MODEL,
            1,
            JudgingPolicy(),
        )
        assert made.checkpoint.acquire()
        made.load()
        return made

    command: Any = {commands.FIELD: commands.encode(Acknowledge(name, "ann"))}
    client.xadd(keys.commands(MODEL), command)
    failing = judge()
    client.hincrby(keys.judge(MODEL), "commit", 1)  # another judge was there meanwhile
    with pytest.raises(OwnershipLost):
        failing.turn()
    failing.close()
    assert not [one for one in alerts(client, keys) if one["data"]["change"] == "acknowledged"]
    for _ in range(2):
        stage = judge()
        stage.turn()
        stage.close()
    assert (
        len([one for one in alerts(client, keys) if one["data"]["change"] == "acknowledged"]) == 1
    )


def test_a_policy_file_that_cannot_be_used(redis_url: str, keys: Keys, tmp_path: Any) -> None:
    """A worker does not start with rules that it cannot read, and says what is wrong with them."""
    path = tmp_path / "policy.toml"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Worker(Settings(**settings_of(redis_url, keys, policy_file=path)))
    path.write_text("[default]\npolicy = 'loud'")
    with pytest.raises(ConfigurationError, match=r"default\.policy"):
        Worker(Settings(**settings_of(redis_url, keys, policy_file=path)))


def test_a_policy_file_is_used(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Any
) -> None:
    """Under the classic policy of the file the same drift raises classic alerts."""
    path = tmp_path / "policy.toml"
    path.write_text(f"[models.{MODEL}]\npolicy = 'classic'")
    publish(client, keys)
    append(
        client,
        keys.log(MODEL, 0),
        events(1, 6000, int(time.time() * 1000) - 200_000, shift_from=3000),
    )
    with worker_thread(settings_of(redis_url, keys, policy_file=str(path))):
        wait_for(lambda: arrived(client, keys) == 6000 and judged_all(client, keys), "6,000 events")
    rules = {one["data"]["rule"] for one in alerts(client, keys)}
    assert rules - {"out_of_range", "integrity"} == {"classic.psi", "classic.ks"}
