"""A deployment whose Redis speaks only TLS, wants certificates of its clients, and lets each do as
little as it needs.
"""

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import redis
from click.testing import CliRunner

from driftgauge.__main__ import cli
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import deployment, processes
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.rights.acl import digest_rule, rules
from driftgauge.shared.rights.table import Role
from driftgauge.shared.settings import Settings
from tests.integration.plant import wait_for
from tests.producer.conftest import GOOD, api_process, publish_linear
from tests.shared.connections.secured import Secured, secured, secured_sentinel

PASSWORD = "certificates-and-users"  # noqa: S105  of these tests only
ROLES: tuple[Role, ...] = ("api", "worker", "operator")


def counted(admin: redis.Redis, keys: Keys) -> int:
    packed: Any = admin.hget(keys.count("linear", 0), "counters")
    return msgspec.json.decode(packed, type=Counters).events if packed else 0


def run(settings: Settings, *arguments: str) -> Any:
    """Run a command that prints JSON."""
    environment = deployment.environment(settings)
    done = CliRunner().invoke(cli(), [*arguments, "--json"], env=environment)
    assert done.exit_code in {0, 1}, (done.output, done.exception)
    return json.loads(done.stdout)


def test_api_worker_and_commands_by_tls(tmp_path: Path, keys: Keys) -> None:
    """The API goes to the server, the worker asks a Sentinel that speaks TLS too, each as its own
    user: what the API took is counted, and the commands see it. Redis refuses nothing.
    """
    with (
        secured(tmp_path) as server,
        secured_sentinel(tmp_path, server) as sentinel,
        connect(server.server.url) as admin,
    ):
        for role in ROLES:
            given = [digest_rule(PASSWORD), *rules(role, keys.prefix)]
            admin.execute_command("ACL", "SETUSER", role, "reset", *given)
        publish_linear(ModelRegistry(tmp_path / "registry"))
        api = settings_of(
            server, f"rediss://api:{PASSWORD}@localhost:{server.port}", tmp_path, keys
        )
        worker = settings_of(
            server, f"rediss+sentinel://worker:{PASSWORD}@127.0.0.1:{sentinel}/main", tmp_path, keys
        )
        process = processes.start(
            [sys.executable, "-m", "driftgauge", "worker"],
            tmp_path / "worker.log",
            deployment.environment(worker),
        )
        try:
            with api_process(api, tmp_path) as (url, _), httpx.Client(base_url=url) as http:
                for _ in range(20):
                    assert http.post("/predict", json={"features": GOOD}).is_success
                wait_for(lambda: counted(admin, keys) == 20, "the predictions")
            people = f"rediss://operator:{PASSWORD}@localhost:{server.port}"
            status = run(settings_of(server, people, tmp_path, keys), "status")
            assert [one["model"] for one in status["models"]] == ["linear"]
        finally:
            processes.stop(process)
        assert admin.acl_log() == []


def settings_of(server: Secured, address: str, folder: Path, keys: Keys) -> Settings:
    return Settings(
        redis_url=f"{address}?{server.query}",
        key_prefix=keys.prefix,
        registry_dir=folder / "registry",
        data_dir=folder / "data",
        ack_timeout_ms=5000,
        lease_ms=900,
        commit_ms=20,
        api_url="http://127.0.0.1:9",
    )


@pytest.mark.parametrize("wrong", ["authority", "user"])
def test_the_doctor_says_what_is_wrong(tmp_path: Path, keys: Keys, wrong: str) -> None:
    """An unknown authority, or a user that is unknown, is no Redis that does not answer."""
    with secured(tmp_path) as server:
        found = settings_of(server, f"rediss://nobody:no@localhost:{server.port}", tmp_path, keys)
        if wrong == "authority":
            found = found.model_copy(update={"redis_url": f"rediss://localhost:{server.port}"})
        checks = {one["name"]: one for one in run(found, "doctor")["checks"]}
        told = " ".join(map(str, checks["Redis"].values()))
    expected = {"authority": "ssl_ca_certs=FILE", "user": "driftgauge redis acl"}
    assert "cannot be used" in told
    assert expected[wrong] in told
