"""The servers that this machine has: Redis and Valkey of several releases."""

from pathlib import Path

import pytest

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from tests.integration.servers.counted import Deployment
from tests.shared.local.servers import ServerOf, every_server


@pytest.mark.long
@every_server
def test_all_is_counted_once_over_a_kill(tmp_path: Path, keys: Keys, binary: str) -> None:
    """Real API and worker on each of them; it is killed between and under the predictions."""
    with ServerOf(tmp_path / "redis", binary) as server, connect(server.url) as admin:
        run = Deployment(tmp_path, server.url, keys)
        with run.running() as http:
            run.restart(server, http, admin)
        assert "Traceback" not in run.log_of("api") + run.log_of("worker")
