import asyncio
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.publishing.spool_records import frame
from driftgauge.producer.supervision import LATE_S, Supervised, Supervisor, stopped
from driftgauge.shared.access.key_file import create_key, revoke_key
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.framing import FULL, HEAD, MARKER
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.exposition import parse, value
from tests.producer.conftest import GOOD, publish_linear, running, until

pytestmark = pytest.mark.anyio


async def test_what_a_look_raises_ends_no_task(caplog: pytest.LogCaptureFixture) -> None:
    """Each failure is named, counted and tried again, and a later success is told; no message of
    a library is quoted.
    """
    supervisor, turns = Supervisor(), 0

    async def look() -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise RecursionError("a person's name")

    task = supervisor.keep("look", look, 0.0)
    await until(lambda: turns > 2)
    state = supervisor.tasks["look"]
    assert (state.failures, state.fault, list(supervisor.reasons)) == (1, "", [])
    assert "The look fails (RecursionError at" in caplog.text
    assert "person" not in caplog.text
    await stopped(task)
    assert not state.running


def test_a_task_without_success_is_late() -> None:
    """A task that fails, or whose look does not end, is late after a while; one that was stopped
    is not.
    """
    now = 0.0
    task = Supervised("look", lambda: now)
    task.begin()
    now = LATE_S + 1
    assert (task.late, "has not ended" in task.described) == (True, True)
    task.fail(OSError(5, "Input/output error"))
    assert "Input/output error" in task.described
    task.succeed()
    assert (task.late, task.fault) == (False, "")


async def test_a_late_task_degrades_the_api(settings: Settings) -> None:
    """`/readyz` names a task that has not succeeded for long, and tells the age of each one's last
    success when asked.
    """
    app = create_app(settings)
    async with running(app) as http:
        tasks = (await http.get("/readyz", params={"verbose": True})).json()["tasks"]
        assert {"sender", "spooler", "watchdog", "look at the registry"} < tasks.keys()
        assert all(task["last_success_seconds"] < LATE_S for task in tasks.values())
        app.state.parts.supervisor.tasks["spooler"]._succeeded_at -= LATE_S + 1
        state = app.state.parts.supervisor.tasks["spooler"]
        state.succeed = lambda: None
        assert "The spooler has not succeeded" in (await http.get("/readyz")).text
        metrics = parse((await http.get("/metrics")).text)
        assert value(metrics, "driftgauge_task_failures_total", task="spooler") == 0


async def test_a_revoked_key_is_out_behind_batches(settings: Settings) -> None:
    """Revocation is seen within seconds while every thread of the event loop's pool is taken."""
    create_key(settings.keys_path, "shop", ("read",), None)
    app = create_app(settings)
    async with running(app):
        ring, free = app.state.parts.access.ring, threading.Event()
        taken = [asyncio.create_task(asyncio.to_thread(free.wait)) for _ in range(40)]
        await asyncio.sleep(0)
        revoke_key(settings.keys_path, "shop")
        try:
            await until(lambda: not ring.held._keys)
        finally:
            free.set()
            await asyncio.gather(*taken)


def odd_files(folder: Path, suffix: str) -> None:
    """What somebody may put into a folder: a pipe, a folder, an odd name, a huge file, depth."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.mkfifo(folder / f"0-pipe{suffix}")
    (folder / f"1-folder{suffix}").mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/2-\xff\x1b[31m" + suffix.encode())).touch(0o600)
    with (folder / f"3-huge{suffix}").open("wb") as huge:
        huge.truncate(20 << 30)
    (folder / f"4-deep{suffix}").write_bytes(b"[" * 200_000)
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(0o600)


async def test_odd_files_stop_no_task(settings: Settings, registry: ModelRegistry) -> None:
    """With a pipe, a folder, a name that is no UTF-8, 20 GB and deep JSON in the spool's folder
    and in the registry, events are published, a promotion is seen, and nothing is late.
    """
    publish_linear(registry)
    odd_files(settings.data_dir / "spool", ".spool")
    odd_files(registry.folder / "odd", "")
    (registry.folder / "odd" / "4-deep").rename(registry.folder / "odd" / "stages.json")
    for number, name in enumerate(("0-pipe", "3-huge"), start=1):
        folder = registry.folder / f"odd{number}"
        folder.mkdir()
        (registry.folder / "odd" / name).rename(folder / "stages.json")
    (registry.folder / os.fsdecode(b"\xff")).mkdir()
    app = create_app(settings)
    async with running(app) as http:
        parts = app.state.parts
        await until(lambda: parts.publisher.connected)
        answer = await http.post("/predict", json={"features": GOOD})
        assert answer.json()["event"] == "published"
        publish_linear(registry)
        await until(lambda: parts.serving.production["linear"].version == "2.0.0")
        assert not any(task.failures for task in parts.supervisor.tasks.values())
        reasons = (await http.get("/readyz")).json()["reasons"]
        assert any("odd" in reason for reason in reasons)


async def test_a_spooled_record_names_its_models_own_log(
    settings: Settings, linear: ModelRegistry, client: redis.Redis, keys: Keys
) -> None:
    """A record that names another key, no model, or a name that is no UTF-8 is kept as damage;
    those around it are sent.
    """
    del linear
    folder = settings.data_dir / "spool"
    folder.mkdir(mode=0o700, parents=True)
    log, elsewhere = keys.log("linear", 0).encode(), keys.models.encode()
    good = b'{"id":"%d","version":"1.0.0","time":1,"features":[1,2],"prediction":1}'
    body = frame(b"p", "linearx", log, 4, good % 4)[HEAD.size :].replace(b"linearx", b"\xffinearx")
    odd = HEAD.pack(MARKER, len(body), len(body) ^ FULL, crc32(body)) + body
    content = b"".join(
        (
            frame(b"p", "linear", log, 1, good % 1),
            frame(b"p", "linear", elsewhere, 2, good % 2),
            frame(b"p", "other", log, 3, good % 3),
            odd,
            frame(b"p", "linear", log, 5, good % 5),
        )
    )
    path = folder / "1.spool"
    path.write_bytes(content)
    path.chmod(0o600)
    app = create_app(settings)
    async with running(app):
        await until(lambda: client.xlen(keys.log("linear", 0)) == 2)
        entries = cast(Any, client.xrange(keys.log("linear", 0)))
        assert [fields[b"s"] for _, fields in entries] == [b"1", b"5"]
        assert client.type(keys.models) in {b"set", b"none"}
        assert app.state.parts.publisher.spool.damaged == 3


async def test_a_spool_folder_of_others_is_refused(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that others may write to is not spooled to, and a file that others may write to is
    not sent; both are told with what to do.
    """
    folder = settings.data_dir / "spool"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    (folder / "1.spool").write_bytes(b"")
    (folder / "1.spool").chmod(0o666)
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    with caplog.at_level(logging.WARNING):
        async with running(app):
            await until(lambda: "chmod o-w" in caplog.text)
            assert app.state.parts.publisher.spool.adopted == 0


async def test_the_thread_of_the_keys_ends_with_the_api(settings: Settings) -> None:
    """No thread looks at the keys file once the API has ended."""
    async with running(create_app(settings)):
        assert any(thread.name == "look at the keys file" for thread in threading.enumerate())
    deadline = time.monotonic() + 10
    while any(thread.name == "look at the keys file" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
