"""Schemathesis over the whole document, against a real server: `make test-api`.

It sends requests of all kinds, right and wrong, and holds each answer against the document: status,
media type, headers, schema; wrong requests have to be refused, keys to be asked for.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from benchmarks.fuzzing import register_models
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.producer.conftest import api_process
from tests.producer.routes.judged.test_alerts import X, alert, hold_open
from tests.producer.routes.judged.test_incidents import incident
from tests.producer.routes.test_reading import cloud_event as around
from tests.producer.routes.test_reading import snapshot

CONFIG = f"""
[parameters]
model = "linear"
version = "1.0.0"
report = "latest"
fingerprint = "{X}"
incident = "{incident(7).id}"
name = "publisher-1"

[[operations]]
# without a worker it waits for one, and says so
include-operation-id = "accept_reference"
enabled = false

[[operations]]
# no worker is there: 503 is the answer, and documented
include-operation-id = "get_readiness"
[operations.checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]

[[operations]]
# endless
include-path-regex = "/stream$"
enabled = false
"""


@pytest.mark.long
@pytest.mark.timeout(1200)  # beside all else on a slow machine
def test_every_answer_is_as_documented(
    settings: Settings, tmp_path: Path, client: redis.Redis, keys: Keys
) -> None:
    """No 5xx, no status or media type that is not documented, no body beside its schema, no wrong
    request that is taken, no route that answers without its key.
    """
    register_models(tmp_path)
    secret = create_key(settings.keys_path, "ann", ("admin",), None)
    client.sadd(keys.models, "linear")
    hold_open(client, keys, X)
    client.hset(keys.current("linear"), "1.0.0", snapshot(1_763_650_000_123))
    for number in range(5):
        client.xadd(keys.alerts("linear"), {"e": cloud_event(alert("x", "firing", number))})
        client.xadd(keys.snapshots("linear"), {"e": around(snapshot(number))})
        client.xadd(keys.incidents("linear"), {"e": cloud_event(incident(7))})
    client.hset(keys.open_incidents("linear"), incident(7).id, cloud_event(incident(7)))
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    with_key = settings.model_copy(update={"api_key": SecretStr(secret)})
    with api_process(with_key, tmp_path) as (url, _):
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
        command += [f"{url}/openapi.json", "-H", f"Authorization: Bearer {secret}"]
        command += ["--phases", "coverage,fuzzing", "--max-examples", "5", "--seed", "1"]
        # which values fit depends on the model: its schema says so, and the document cannot
        command += ["--exclude-checks", "positive_data_acceptance"]
        command += ["--generation-deterministic", "--no-color"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
