"""The commands about alerts and reports, through a real API and Redis to judging and back."""

import getpass
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.commands.report import report as report_command
from driftgauge.consumer.commands.told.alerts import alerts as alerts_command
from driftgauge.consumer.commands.told.incidents import incidents as incidents_command
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.stages.judging import JudgingStage
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.consumer.worker import Worker
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract import commands
from driftgauge.shared.contract.alert import Alert, AlertEvidence
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.commands import Acknowledge
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import ConfigurationError, DriftgaugeError, OwnershipLost
from driftgauge.shared.moments import untold
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
from tests.producer.conftest import api_process


def alert_event(number: int) -> bytes:
    """Return a critical performance alert that fires."""
    evidence = AlertEvidence("accuracy", 0.84, 0.86, 0.91, 1000, 2000, 5000, 0, 1000)
    alert = Alert(
        fingerprint="0123456789abcdef",
        model=MODEL,
        version="1.0.0",
        feature="",
        rule="performance.accuracy",
        severity="critical",
        state="firing",
        summary="accuracy 0.91 → 0.84",
        evidence=evidence,
        started=1000,
        updated=1000,
        ended=None,
        snapshot="",
        number=number,
    )
    return cloud_event(alert)


@pytest.fixture
def url(redis_url: str, keys: Keys, tmp_path: Path) -> Iterator[str]:
    """An API without models of its own, beside the worker's Redis."""
    settings = Settings(
        redis_url=redis_url,
        key_prefix=keys.prefix,
        registry_dir=tmp_path / "registry",
        data_dir=tmp_path / "data",
    )
    with api_process(settings, tmp_path) as (address, _):
        yield address


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
    client: redis.Redis, redis_url: str, keys: Keys, url: str
) -> None:
    """What the command line asks is written as a transition by the worker, with its user; malformed
    entries stop nothing.
    """
    name = drift(client, redis_url, keys)
    client.xadd(keys.commands(MODEL), {"junk": "1"})

    def run(command: Any, *words: str) -> Any:
        return CliRunner().invoke(command, [*words, "--url", url])

    assert "Asked of plant" in run(alerts_command, "acknowledge", name, "--note", "mine").output
    assert "Asked of plant" in run(alerts_command, "silence", name, "--for", "2h").output
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
    shown = run(alerts_command, "--all").output
    assert "ACKNOWLEDGED" in shown
    assert name in shown
    told = [msgspec.json.decode(line) for line in run(alerts_command, "--json").output.splitlines()]
    everything = alerts(client, keys)
    assert [(one["id"], untold(one["data"], Alert)) for one in told] == [
        (one["id"], untold(one["data"], Alert))
        for one in everything
        if one["data"]["notify"] and one["data"]["state"] in {"firing", "resolved"}
    ]
    assert all(one["data"]["started"].endswith("Z") for one in told), "ISO 8601 with its zone"
    assert len(told) < len(everything)
    for wrong, said, code in (
        (["silence", name, "--for", "soon"], "30m, 2h or 3d", 65),
        (["acknowledge", "0" * 16], "No open alert", 65),
        (["acknowledge", "../x"], "../x", 65),
        (["--model", "nobody"], "nobody", 66),
    ):
        found = run(alerts_command, *wrong).exception
        assert isinstance(found, DriftgaugeError)
        assert said in str(found) or "404" in str(found)
        assert found.exit_code == code
    incidents_told(client, redis_url, keys, url)
    reported(client, keys, url)


def incidents_told(client: redis.Redis, redis_url: str, keys: Keys, url: str) -> None:
    """The drift is one incident, with its headline; acknowledged by the command line, it and its
    alerts have the mark.
    """

    def run(*words: str) -> Any:
        return CliRunner().invoke(incidents_command, [*words, "--url", url])

    (event,) = [msgspec.json.decode(line) for line in run("--json").output.splitlines()]
    incident = event["data"]
    assert (incident["state"], incident["features"]) == ("open", ["smooth"])
    shown = run("--model", MODEL).output
    assert incident["headline"] in shown
    assert f"[{incident['id']}]" in shown
    ((name, kept),) = client.hgetall(keys.open_incidents(MODEL)).items()  # type: ignore[union-attr]
    assert name.decode() == incident["id"]
    assert untold(msgspec.json.decode(kept)["data"], Incident) == untold(incident, Incident)
    assert "Asked of plant" in run("acknowledge", incident["id"], "--note", "on it").output
    known = client.xlen(keys.incidents(MODEL))
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: client.xlen(keys.incidents(MODEL)) > known, "the mark")
    (seen,) = [msgspec.json.decode(line)["data"] for line in run("--json").output.splitlines()]
    assert (seen["change"], seen["acknowledged"]["note"]) == ("acknowledged", "on it")
    assert seen["number"] == incident["number"] + 1


def reported(client: redis.Redis, keys: Keys, url: str) -> None:
    """Read the reports of the drift by the command: the latest, one by its id, one that is gone."""
    kept: Any = client.xrange(keys.snapshots(MODEL))
    ids = [msgspec.json.decode(fields[b"e"])["id"] for _, fields in kept]

    def run(*words: str) -> Any:
        return CliRunner().invoke(report_command, [*words, "--url", url])

    assert msgspec.json.decode(run("--model", MODEL, "--json").output)["id"] == ids[-1]
    assert msgspec.json.decode(run("--id", ids[0], "--json").output)["id"] == ids[0]
    assert MODEL in run("--model", MODEL).output
    for words, code in ((["--id", f"{MODEL}-gone"], 66), (["--model", "nobody"], 66)):
        found = run(*words).exception
        assert isinstance(found, DriftgaugeError)
        assert found.exit_code == code


def following(url: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "driftgauge", "alerts", "--follow", "--json", "--url", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ids_of(output: IO[bytes]) -> list[str]:
    """Collect the ids of what is shown, in a thread, until the output ends."""
    found: list[str] = []

    def read() -> None:
        found.extend(msgspec.json.decode(line)["id"] for line in output)

    threading.Thread(target=read, daemon=True).start()
    return found


def test_following_shows_each_alert_once_and_ends_with_a_clear_line(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """What stood there and what comes is shown, without a gap or a double between the two; when the
    API is gone the command ends with 69 and says so.
    """
    client.sadd(keys.models, MODEL)

    def add(number: int) -> str:
        event = msgspec.json.decode(alert_event(number)) | {"id": f"e-{number}"}
        client.xadd(keys.alerts(MODEL), {"e": msgspec.json.encode(event)})
        return f"e-{number}"

    settings = Settings(
        redis_url=redis_url,
        key_prefix=keys.prefix,
        registry_dir=tmp_path / "registry",
        data_dir=tmp_path / "data",
    )
    wanted = [add(number) for number in range(3)]
    with ExitStack() as ended:
        with api_process(settings, tmp_path) as (url, _):
            process = ended.enter_context(following(url))
            assert process.stdout is not None
            assert process.stderr is not None
            shown = ids_of(process.stdout)
            while len(shown) < 3:  # some of these come between the reading and the following
                wanted.append(add(len(wanted)))
                time.sleep(0.05)
            wanted += [add(len(wanted)) for _ in range(3)]
            wait_for(lambda: len(shown) >= len(wanted), "all alerts")
            assert shown == wanted
        assert process.wait(60) == 69
        assert process.stderr.read().decode().startswith(f"driftgauge: No API at {url}")


def test_a_command_is_applied_exactly_once(client: redis.Redis, redis_url: str, keys: Keys) -> None:
    """The command's id is committed with its transition: a judge that fails before the commit
    applies it again, one that loads after it does not.
    """
    name = drift(client, redis_url, keys)

    def judge() -> JudgingStage:
        settings = Settings(**settings_of(redis_url, keys, lease_ms=60_000))
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
    client.set(keys.judge_owner(MODEL), "another judge")
    with pytest.raises(OwnershipLost):
        failing.turn()
    failing.close()
    client.delete(keys.judge_owner(MODEL))
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
