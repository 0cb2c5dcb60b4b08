"""An address of one server where there is a cluster, and the other way round: API, worker, commands
and doctor say what to write instead.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.chaos.stores.cluster import Cluster
from driftgauge.consumer.worker import Worker
from driftgauge.producer.app import create_app
from driftgauge.producer.commands.doctor import doctor
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import GOOD, publish_linear, running, settings_in, until

pytestmark = pytest.mark.anyio

CLUSTER = "Say redis+cluster:// in DRIFTGAUGE_REDIS_URL instead of redis://"
SINGLE = "Say redis:// in DRIFTGAUGE_REDIS_URL instead of redis+cluster://"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["one node", "no cluster"])
def wrong(
    request: pytest.FixtureRequest, cluster: Cluster, prefix: str, tmp_path: Path
) -> Iterator[tuple[Settings, str]]:
    """Settings with a wrong address, and what is to be said of it."""
    publish_linear(ModelRegistry(tmp_path / "registry"))
    if request.param == "one node":
        yield settings_in(tmp_path, cluster.nodes[0].url, prefix), CLUSTER
        return
    with EmbeddedRedis(tmp_path / "redis") as server, connect(server.url) as client:
        port = processes.free_port(21_700)
        client.config_set("port", port)
        yield settings_in(tmp_path, f"redis+cluster://127.0.0.1:{port}", prefix), SINGLE


async def test_the_api_says_what_to_write(
    wrong: tuple[Settings, str], caplog: pytest.LogCaptureFixture
) -> None:
    """It goes on to predict and spools, and /readyz and one line of its log say what to do."""
    settings, advice = wrong
    app = create_app(settings)
    async with running(app) as http:
        await until(lambda: app.state.parts.publisher.left)
        answer = await http.post("/predict", json={"features": GOOD})
        assert answer.json()["event"] == "spooled"
        assert advice in (await http.get("/readyz")).text
    assert sum(advice in record.getMessage() for record in caplog.records) == 1


def test_worker_commands_and_doctor_say_what_to_write(
    wrong: tuple[Settings, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker does not start beside a node, and tells it where it waits; commands end with it."""
    settings, advice = wrong
    if advice == CLUSTER:
        with pytest.raises(ConfigurationError, match="instead of redis://"):
            Worker(settings).run()
    with pytest.raises(ConfigurationError) as found:
        Nodes(settings.redis_url).require("a")
    assert advice in str(found.value)
    for name in ("redis_url", "key_prefix", "data_dir", "registry_dir"):
        monkeypatch.setenv(f"DRIFTGAUGE_{name.upper()}", str(getattr(settings, name)))
    told = json.loads(CliRunner().invoke(doctor, ["--json"]).stdout)["checks"]
    (about,) = [one for one in told if one["name"] == "Redis"]
    assert about["state"] == "wrong"
    assert advice in about["found"] + about["advice"]
