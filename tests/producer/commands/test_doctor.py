"""`driftgauge doctor` and `status`: what is wrong is found and said, and how the models stand."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from click.testing import CliRunner

from driftgauge.producer.commands.doctor import doctor
from driftgauge.producer.commands.status import status
from driftgauge.producer.diagnosis.pipeline import api_check
from driftgauge.producer.diagnosis.sources import Picture, Service
from driftgauge.shared.connections.redis_client import connect, server_ms
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import find_server
from driftgauge.shared.local.finding import Found
from driftgauge.shared.local.running import FILE, RunningDeployment
from driftgauge.shared.policies.agreed import POLICY, Agreed, FileState, Origin, Refusal
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.integration.plant import publish
from tests.producer.conftest import api_process, publish_linear
from tests.producer.dashboard.snapshots import MODEL, Judging, active, snapshot
from tests.producer.pipeline import Written
from tests.producer.routes.judged.test_incidents import incident

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def environment(
    redis_url: str, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """Set the environment of a deployment of which only Redis runs."""
    given = {
        "REDIS_URL": redis_url,
        "KEY_PREFIX": keys.prefix,
        "DATA_DIR": str(tmp_path / "data"),
        "REGISTRY_DIR": str(tmp_path / "registry"),
        "PORT": str(processes.free_port(23000 + os.getpid() % 1000)),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"DRIFTGAUGE_{name}", value)
    return monkeypatch


def checks() -> tuple[dict[str, dict[str, Any]], int]:
    """Run the doctor; return its checks by name, and its exit code."""
    done = CliRunner().invoke(doctor, ["--json"], catch_exceptions=False)
    document = msgspec.json.decode(done.stdout)
    assert document["wrong"] == sum(one["state"] == "wrong" for one in document["checks"])
    return {one["name"]: one for one in document["checks"]}, done.exit_code


def _keys_that_others_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "keys.json"
    path.write_text("{}")
    path.chmod(0o644)
    monkeypatch.setenv("DRIFTGAUGE_KEYS_FILE", str(path))


def _folder_is_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("DRIFTGAUGE_REPORTS_DIR", str(folder / "file"))


def _killed_deployment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    one = RunningDeployment(
        command="up", pid=gone.pid, started="1", data_dir=str(folder), api=NOBODY
    )
    (folder / "old").mkdir()
    (folder / "old" / FILE).write_bytes(msgspec.json.encode(one))
    monkeypatch.setenv("DRIFTGAUGE_DATA_DIR", str(folder / "old"))


FAULTS: dict[str, Callable[[Path, pytest.MonkeyPatch], None]] = {
    "settings": lambda _, patch: patch.setenv("DRIFTGAUGE_LEASE_MS", "x"),
    "Redis": lambda _, patch: patch.setenv("DRIFTGAUGE_REDIS_URL", "redis://127.0.0.1:9"),
    "API": lambda _, patch: patch.setenv("DRIFTGAUGE_API_URL", NOBODY),
    "keys file": _keys_that_others_read,
    "reports folder": _folder_is_a_file,
    "deployment": _killed_deployment,
    "policy file": lambda folder, patch: patch.setenv(
        "DRIFTGAUGE_POLICY_FILE", str(folder / "absent")
    ),
}


@pytest.mark.usefixtures("environment")
def test_where_nothing_is_wrong_the_doctor_says_so() -> None:
    """Before the first start only notes remain: what to start, and what to register."""
    found, code = checks()
    assert code == 0
    assert {"Redis persistence", "Redis eviction", "clock", "disk", "Python"} <= found.keys()
    assert {name for name, one in found.items() if one["state"] != "ok"} == {
        "deployment",
        "API",
        "models",
        "worker",
    }
    text = CliRunner().invoke(doctor, catch_exceptions=False)
    assert "Nothing is wrong." in text.stdout
    assert "driftgauge up" in text.stdout


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_and_has_advice(
    name: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exactly the broken thing is wrong, its advice is a sentence, and the exit code tells."""
    FAULTS[name](tmp_path, environment)
    found, code = checks()
    assert code == 1
    assert [one["name"] for one in found.values() if one["state"] == "wrong"] == [name]
    assert found[name]["advice"].endswith(".")


def test_a_deployment_that_waits_for_its_first_model_is_not_wrong() -> None:
    """Right after the first `driftgauge up` the doctor says what to do, and that nothing is
    wrong; an API that is degraded for any other reason is wrong, in its own words.
    """
    found = Found(Settings(), "http://127.0.0.1:8000")

    def state(*degraded: str, models: int = 0) -> str:
        service = Service(answers=True, degraded=degraded, models=models)
        return api_check(found, Picture(service, {}, {}, [], "api")).state

    assert state("No model is loaded.") == "note"
    assert state("No model is loaded.", "Redis does not answer.") == "wrong"
    assert state("steel 2.0.0 is damaged.", models=1) == "wrong"
    assert state(models=1) == "ok"


def test_a_port_that_another_program_has_is_found(environment: pytest.MonkeyPatch) -> None:
    """What `driftgauge serve` would fail on is said before."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        environment.setenv("DRIFTGAUGE_PORT", str(taken.getsockname()[1]))
        assert checks()[0]["port"]["state"] == "wrong"


@pytest.fixture
def careless_redis(tmp_path: Path) -> Iterator[str]:
    """Start a Redis as caches are configured: it evicts keys and keeps no file."""
    port = processes.free_port(24000 + os.getpid() % 1000)
    log = tmp_path / "careless.log"
    options = ["--save", "", "--maxmemory", "20mb", "--maxmemory-policy", "allkeys-lru"]
    process = processes.start([find_server(), "--port", str(port), *options], log)
    url = f"redis://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return bool(connect(url).ping())
        except redis.RedisError:
            return False

    try:
        processes.wait_until(answers, process, "Redis", log)
        yield url
    finally:
        processes.stop(process)


def test_a_redis_that_keeps_nothing_is_found(
    careless_redis: str, environment: pytest.MonkeyPatch
) -> None:
    """Eviction and a missing append-only file lose events: both are wrong, each with the line that
    mends it.
    """
    environment.setenv("DRIFTGAUGE_REDIS_URL", careless_redis)
    found, code = checks()
    assert code == 1
    assert "maxmemory-policy noeviction" in found["Redis eviction"]["advice"]
    assert "CONFIG SET appendonly yes" in found["Redis persistence"]["advice"]


@pytest.mark.usefixtures("environment")
def test_a_backlog_without_worker_and_an_old_format_are_found(
    client: redis.Redis, keys: Keys
) -> None:
    """What waits for a worker that does not run, and what another release wrote, is said."""
    publish_versionless(client, keys)
    found, code = checks()
    assert code == 1
    assert found["worker"]["state"] == "wrong"
    assert "format 1" in found["stored formats"]["found"]


@pytest.mark.usefixtures("environment")
def test_the_policy_in_force_and_a_refused_file_are_told(client: redis.Redis, keys: Keys) -> None:
    """The doctor names the file in force, those that are older, and the line of a refused one."""
    assert "no worker has a policy file" in checks()[0]["policy"]["found"]
    now = server_ms(client)
    mine, older = Origin(now, "ab", "web-1:/p.toml"), Origin(now - 5, "aa", "web-2:/p.toml")
    agreed = msgspec.json.encode(Agreed(mine, msgspec.Raw(b"{}")))
    client.hset(keys.policy, POLICY.decode(), agreed)  # type: ignore[arg-type]  # bytes
    client.hset(keys.policy_files, "w1", msgspec.json.encode(FileState(mine, now)))  # type: ignore[arg-type]
    told = checks()[0]["policy"]
    assert told["state"] == "ok"
    assert told["found"].startswith("web-1:/p.toml, written ")
    client.hset(keys.policy_files, "w2", msgspec.json.encode(FileState(older, now)))  # type: ignore[arg-type]
    told = checks()[0]["policy"]
    assert (told["state"], "older: web-2:/p.toml" in told["found"]) == ("note", True)
    refused = FileState(older, now, Refusal(7, "no such metric", now))
    client.hset(keys.policy_files, "w2", msgspec.json.encode(refused))  # type: ignore[arg-type]
    told = checks()[0]["policy"]
    assert told["state"] == "wrong"
    assert "web-2:/p.toml is refused, line 7: no such metric" in told["found"]
    client.hset(keys.policy, POLICY.decode(), "junk")
    assert "cannot be read" in checks()[0]["policy"]["found"]


def publish_versionless(client: redis.Redis, keys: Keys) -> None:
    """Write a partition's state as a first release would have."""
    publish(client, keys, MODEL)
    partition = Written(client, keys, MODEL)
    partition.publish(3)
    partition.count()
    client.hset(keys.count(MODEL, 0), "format", "1")


def test_the_status_is_the_same_from_api_and_from_redis(
    environment: pytest.MonkeyPatch, client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """Each model has its status, headline, since, traffic, lag and alerts, whoever is asked; the
    screen begins with the dashboard's address.
    """
    publish_versionless(client, keys)
    window = snapshot(
        5000, alerts=[active("x"), active("y", "pending")], severity="critical", verdict="x broke."
    )
    Judging(client, keys).current(window)
    environment.setenv("DRIFTGAUGE_API_URL", NOBODY)
    of_redis = stated()
    (one,) = of_redis["models"]
    assert one["status"] == "critical"
    assert (one["headline"], one["since"], one["incidents"]) == ("x broke.", None, [])
    assert (one["alerts"], one["lag_events"]) == ({"critical": 1, "warning": 0}, 3)
    told = msgspec.structs.replace(incident(5000), model=MODEL)
    client.hset(keys.open_incidents(MODEL), told.id, cloud_event(told))
    of_redis = stated()
    (one,) = of_redis["models"]
    assert (one["headline"], one["advice"]) == (told.headline, told.advice)
    assert one["since"] == "1970-01-01T00:00:05Z"
    assert one["incidents"] == [told.id]
    with api_process(Settings(), tmp_path) as (url, _):
        environment.setenv("DRIFTGAUGE_API_URL", url)
        of_api = stated()
        shown = CliRunner().invoke(status, catch_exceptions=False).stdout
    assert (of_redis["source"], of_api["source"]) == ("redis", "api")
    for source in (of_redis, of_api):
        source["models"][0].pop("lag_seconds")  # it waits on
    assert of_api["models"] == of_redis["models"]
    assert shown.startswith(f"Dashboard  {url}/")
    assert f"CRITICAL  plant 1.0.0: {told.headline}\n    → {told.advice}\n" in shown
    assert "open incidents: 1" in shown
    assert "NO WORKER" in shown


def test_a_named_api_alone_is_asked(
    environment: pytest.MonkeyPatch, client: redis.Redis, keys: Keys
) -> None:
    """The Redis that is known here may be another deployment's: its models are not shown as those
    of the API that was named.
    """
    environment.setenv("DRIFTGAUGE_PORT", "9")
    publish_versionless(client, keys)
    assert len(stated()["models"]) == 1
    done = CliRunner().invoke(status, ["--url", NOBODY], catch_exceptions=False)
    assert done.exit_code == 69
    assert NOBODY in done.stdout
    assert MODEL not in done.stdout


def stated() -> dict[str, Any]:
    """Return what `driftgauge status --json` prints."""
    done = CliRunner().invoke(status, ["--json"], catch_exceptions=False)
    assert done.exit_code == 0
    document: dict[str, Any] = msgspec.json.decode(done.stdout)
    return document


def test_without_anything_the_status_names_what_would_run(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither API nor Redis: the registered models are named, and how to start, with exit code
    69.
    """
    publish_linear(ModelRegistry(tmp_path / "registry"))
    environment.setenv("DRIFTGAUGE_REDIS_URL", "redis://127.0.0.1:9")
    done = CliRunner().invoke(status, catch_exceptions=False)
    assert done.exit_code == 69
    assert "driftgauge up" in done.stdout
    assert "Registered: linear, 1.0.0 in production" in done.stdout
