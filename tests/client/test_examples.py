"""The examples run as they stand: existing services and jobs that log to Driftgauge."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.local.processes import free_port
from tests.client.fake_api import FakeApi, fake_api
from tests.integration.plant import wait_for
from tests.places import ROOT

FOLDER = ROOT / "examples"
FLAT = {"area_m2": 60.0, "rooms": 3}
PRICE = 195_000.0


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skip where a package is not installed: the largest are in the extra `examples` alone."""
    absent = [name for name in packages if find_spec(name) is None]
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as found:
        yield found


def environment(api: FakeApi, **more: str) -> dict[str, str]:
    path = os.pathsep.join(map(str, (ROOT, FOLDER)))
    return {**os.environ, "DRIFTGAUGE_URL": api.url, "PYTHONPATH": path, **more}


@contextmanager
def running(api: FakeApi, folder: Path, *command: str, **more: str) -> Iterator[None]:
    """Run a service in a folder of its own, until the context ends."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment(api, **more),
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def ask(url: str, times: int) -> list[Any]:
    """Ask a service that is starting for the price of the flat."""

    def answer() -> Any:
        try:
            return httpx.post(url, json=FLAT, trust_env=False, timeout=20)
        except httpx.TransportError:
            return None

    first = wait_for(answer, f"an answer of {url}", pause_s=0.1)
    return [first.json(), *(answer().json() for _ in range(times - 1))]


def check(api: FakeApi, events: int) -> None:
    """So many predictions of the flat arrive."""
    wait_for(lambda: len(api.events()) >= events, f"{events} events")
    assert len(api.events()) == events
    assert all(one["features"] == FLAT for one in api.events())
    assert {one["prediction"] for one in api.events()} == {PRICE}


def port() -> str:
    return str(free_port(21000 + os.getpid() % 2000))


def test_fastapi(api: FakeApi, tmp_path: Path) -> None:
    """A FastAPI service is watched by three more lines."""
    marked = [
        line
        for line in (FOLDER / "fastapi_service.py").read_text().splitlines()
        if line.endswith(("# 1", "# 2", "# 3"))
    ]
    assert len(marked) == 3
    own = port()
    with running(api, tmp_path, "uvicorn", "fastapi_service:app", "--port", own):
        assert ask(f"http://127.0.0.1:{own}/price", 3) == [{"price": PRICE}] * 3
        check(api, 3)


@needs("flask", "gunicorn")
def test_flask_behind_gunicorn(api: FakeApi, tmp_path: Path) -> None:
    """Made before gunicorn forks, the monitor works in both workers."""
    own = port()
    options = ("--preload", "--workers", "2", "--bind", f"127.0.0.1:{own}")
    with running(api, tmp_path, "gunicorn", *options, "flask_service:app"):
        assert ask(f"http://127.0.0.1:{own}/price", 8) == [{"price": PRICE}] * 8
        check(api, 8)


@needs("celery")
def test_celery(api: FakeApi, tmp_path: Path, redis_server: EmbeddedRedis) -> None:
    """Tasks of a pool of processes are watched, and what a worker logged is sent when it ends."""
    broker = f"redis+socket://{redis_server.url.removeprefix('unix://')}"
    script = f"from celery_tasks import price; [price.delay({FLAT}) for _ in range(5)]"
    send: Sequence[str] = (sys.executable, "-c", script)
    given = environment(api, BROKER_URL=broker)
    with running(
        api,
        tmp_path,
        "celery",
        "--app",
        "celery_tasks",
        "worker",
        "--concurrency",
        "2",
        BROKER_URL=broker,
    ):
        subprocess.run(send, env=given, cwd=tmp_path, check=True, timeout=60)
        check(api, 5)


def test_a_batch_job(api: FakeApi, tmp_path: Path) -> None:
    """A table's predictions and true values are logged, with progress."""
    table = pd.DataFrame(
        [{**FLAT, "key": f"flat-{place}", "price": 190_000} for place in range(700)]
    )
    table.to_csv(tmp_path / "flats.csv", index=False)
    done = subprocess.run(
        [sys.executable, str(FOLDER / "batch_job.py"), "flats.csv"],
        env=environment(api),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "700 predictions; 1400 sent\n"
    assert "700 of 700 rows" in done.stderr
    check(api, 700)


def test_a_notebook(api: FakeApi, tmp_path: Path) -> None:
    """Its cells run one after the other, as a kernel runs them."""
    document = json.loads((FOLDER / "notebook.ipynb").read_text())
    cells = ["".join(one["source"]) for one in document["cells"] if one["cell_type"] == "code"]
    assert len(cells) == 3
    (tmp_path / "cells.py").write_text("\n\n".join(cells))
    command = [sys.executable, str(tmp_path / "cells.py")]
    subprocess.run(command, env=environment(api), cwd=tmp_path, check=True, timeout=60)
    assert [one["prediction"] for one in api.events()] == [195_000, 240_000, 285_000]


@pytest.mark.long
@needs("bentoml")
def test_bentoml(api: FakeApi, tmp_path: Path) -> None:
    """What a BentoML service records goes to Driftgauge, by its configuration."""
    own = port()
    options = ("--port", own, "--working-dir", str(FOLDER))
    with running(
        api,
        tmp_path,
        "bentoml",
        "serve",
        "bentoml_service:Flats",
        *options,
        BENTOML_DO_NOT_TRACK="1",
    ):
        assert ask(f"http://127.0.0.1:{own}/price", 3) == [PRICE] * 3
        check(api, 3)


@pytest.mark.long
@needs("litserve")
def test_litserve(api: FakeApi, tmp_path: Path) -> None:
    """What a LitServe server predicts goes to Driftgauge, by a callback."""
    own = port()
    with running(api, tmp_path, "litserve_service", PORT=own):
        assert ask(f"http://127.0.0.1:{own}/predict", 3) == [{"price": PRICE}] * 3
        check(api, 3)
