"""The hooks: real workers, real commands, one run per cooldown."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import redis

from driftgauge.consumer.judging.incidents.hooks import RETRAINING, ROLLBACK, Hook, HookState
from driftgauge.shared.contract.keys import Keys
from tests.consumer.hooks.builders import incident_event
from tests.integration.plant import (
    MODEL,
    end,
    publish,
    settings_of,
    wait_for,
    worker_process,
    worker_thread,
)

CODE = """
import json, os, pathlib, sys, time
event, hook = json.load(sys.stdin), sys.argv[2].upper()
attempt = os.environ[f"DRIFTGAUGE_{hook}_ATTEMPT"]
line = json.dumps({"id": event["id"], "attempt": attempt, "pid": os.getpid()})
with open(sys.argv[1], "a") as log: log.write(line + "\\n")
while attempt == "1" and len(sys.argv) > 3: time.sleep(0.02)
"""


def hooked(url: str, keys: Keys, log: Path, *more: str, hook: Hook = RETRAINING) -> dict[str, Any]:
    command = (sys.executable, "-c", CODE, str(log), hook.setting, *more)
    return settings_of(url, keys, **{f"{hook.setting}_command": command})


def runs(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def state(client: redis.Redis, keys: Keys, hook: Hook = RETRAINING) -> HookState | None:
    packed = client.hget(keys.follower(MODEL, hook.name), "state")
    return msgspec.json.decode(packed, type=HookState) if packed else None  # type: ignore[arg-type]


def offset(client: redis.Redis, keys: Keys, hook: Hook = RETRAINING) -> bytes | None:
    return client.hget(keys.follower(MODEL, hook.name), "offset")  # type: ignore[return-value]


def test_several_workers_run_one_command_for_several_incidents(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """One run per cooldown, whoever is there; incidents from before the hook are not its business,
    later ones wait, and what is written of the first one again is passed over.
    """
    publish(client, keys)
    client.xadd(keys.incidents(MODEL), {"e": incident_event(1)})
    settings = hooked(redis_url, keys, tmp_path / "log")
    with worker_thread(settings), worker_thread(settings):
        wait_for(lambda: offset(client, keys), "the hook's first look")
        for name in ("a", "a", "b", "c"):
            client.xadd(keys.incidents(MODEL), {"e": incident_event(2, name)})
        last = client.xrevrange(keys.incidents(MODEL), count=1)[0][0]
        wait_for(
            lambda: (
                (found := state(client, keys))
                and found.running is None
                and offset(client, keys) == last
            ),
            "all read",
        )
    found = state(client, keys)
    assert found is not None
    assert found.latest is not None
    assert (found.runs, found.failures, found.passed_over) == (1, 0, 2)
    assert [one["id"] for one in runs(tmp_path / "log")] == [found.latest.id]
    assert found.latest.id == "a-2"
    assert (found.served, list(found.asking)) == (("a",), ["b", "c"])


def test_a_run_that_was_cut_off_is_run_again_and_never_beside_itself(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """kill -9 of the worker ends its command too; the next owner runs it once more, under the same
    id: a rollback, as a retraining.
    """
    log = tmp_path / "log"
    publish(client, keys)
    settings = hooked(redis_url, keys, log, "first attempt never ends", hook=ROLLBACK)
    doomed = worker_process(settings, tmp_path / "worker.log")
    try:
        wait_for(lambda: offset(client, keys, ROLLBACK), "the hook's first look")
        client.xadd(keys.incidents(MODEL), {"e": incident_event(1, action="roll_back")})
        wait_for(lambda: runs(log), "the first attempt")
    finally:
        end(doomed, signal.SIGKILL)
    wait_for(lambda: not _alive(runs(log)[0]["pid"]), "the end of the command")
    with worker_thread(settings):
        wait_for(
            lambda: (found := state(client, keys, ROLLBACK)) and found.latest, "the second attempt"
        )
    first, second = runs(log)
    assert (first["id"], first["attempt"], second["attempt"]) == (second["id"], "1", "2")


def test_a_worker_that_is_asked_to_stop_does_not_wait_for_the_command(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """SIGTERM ends the command with the worker, and the run stays to be run again."""
    log = tmp_path / "log"
    publish(client, keys)
    with worker_thread(hooked(redis_url, keys, log, "never ends")):
        wait_for(lambda: offset(client, keys), "the hook's first look")
        client.xadd(keys.incidents(MODEL), {"e": incident_event(1)})
        wait_for(lambda: runs(log), "the command")
    assert not _alive(runs(log)[0]["pid"])
    found = state(client, keys)
    assert found is not None
    assert found.running is not None
    assert found.runs == 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return " Z " not in Path(f"/proc/{pid}/stat").read_text()
