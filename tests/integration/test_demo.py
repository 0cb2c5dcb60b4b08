"""The demo and the command line as a user runs them: processes of their own, exit codes, nothing
left behind.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from driftgauge.models.steel.simulate import DRIFTING_FEATURE
from tests.fork_server import FORKS

DEMO_SECONDS = 800
"""Bound of a demo, for slow machines; most take a tenth of it."""
EVENTS = 2000


def driftgauge(
    *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "driftgauge", *arguments]
    return FORKS.run(command, {**os.environ, **(environment or {})}, timeout=DEMO_SECONDS)


def children_of(pid: int) -> list[int]:
    """Return all descendants of a process."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents[int(status.parent.name)] = int(fields[1])
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        new = [child for child, its_parent in parents.items() if its_parent == parent]
        found += new
        waiting += new
    return found


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()


@pytest.fixture(scope="module")
def finished_demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """Run the demo once to its end, on a port that somebody else uses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        reports = tmp_path_factory.mktemp("reports")
        done = driftgauge(
            "demo",
            "--events",
            str(EVENTS),
            "--rate",
            "1500",
            "--seed",
            "3",
            "--port",
            str(port),
            "--output",
            str(reports),
            "--json",
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_the_demo_counts_every_prediction(finished_demo: tuple[dict[str, Any], str]) -> None:
    """What was published through POST /predict is in the committed checkpoint, each exactly
    once.
    """
    result, _ = finished_demo
    assert result["published"] == result["counted"] == EVENTS


def test_the_demo_finds_the_drift_and_nothing_before_it(
    finished_demo: tuple[dict[str, Any], str],
) -> None:
    """The first alert comes after the injection, and the drifting feature is among the alerts."""
    result, _ = finished_demo
    drift = result["drift"]
    assert drift["feature"] == DRIFTING_FEATURE
    assert drift["injected_at_event"] == EVENTS // 2
    assert drift["injected_at_event"] < drift["first_alert_event"] <= EVENTS
    assert DRIFTING_FEATURE in {
        alert["feature"] for alert in result["alerts"] if alert["state"] == "firing"
    }


def test_the_demo_tells_one_incident(finished_demo: tuple[dict[str, Any], str]) -> None:
    """The drift is one incident, which names the feature and how far it is off, and says what to
    do; the story at the end has it.
    """
    result, said = finished_demo
    (incident,) = [one for one in result["incidents"] if one["kind"] == "model"]
    assert incident["features"] == [DRIFTING_FEATURE]
    assert f"{DRIFTING_FEATURE} reads about 0." in incident["headline"]
    assert incident["advice"].startswith(f"Check {DRIFTING_FEATURE} at its source")
    assert "Injected:" in said
    assert "predictions later, in the end: Since" in " ".join(said.split())


def test_the_demo_writes_reports(finished_demo: tuple[dict[str, Any], str]) -> None:
    """The report is there as a page and as JSON, and both name the drifting feature."""
    paths = [Path(path) for path in finished_demo[0]["reports"]]
    assert sorted(path.suffix for path in paths) == [".html", ".json"]
    assert all(DRIFTING_FEATURE in path.read_text() for path in paths)


def test_a_port_in_use_is_replaced_and_said(finished_demo: tuple[dict[str, Any], str]) -> None:
    """The demo takes the next free port and says so."""
    assert "is in use; using" in finished_demo[1]


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find the processes")
def test_an_interrupted_demo_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C or SIGTERM stops Redis, API and worker, and what was counted is told. Meanwhile the
    other commands find all of it by the data folder, and nothing there afterwards.
    """
    environment = {"DRIFTGAUGE_DATA_DIR": str(tmp_path / "data")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "driftgauge",
        "demo",
        "--port",
        str(port),
        "--output",
        str(tmp_path),
        "--json",
    ]
    demo = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        deadline = time.monotonic() + DEMO_SECONDS
        while _published(port) < 100:
            assert demo.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        started = children_of(demo.pid)
        assert len(started) == 3
        found = json.loads(driftgauge("status", "--json", environment=environment).stdout)
        demo.send_signal(number)
        output, errors = demo.communicate(timeout=90)
    finally:
        demo.kill()
    assert demo.returncode == 0, errors
    assert found["dashboard"] == f"http://127.0.0.1:{port}/"
    assert (found["source"], found["models"][0]["model"]) == ("api", "steel")
    assert not (tmp_path / "data" / "deployment.json").exists()
    result = json.loads(output.splitlines()[-1])
    assert (
        result["counted"] >= result["published"] >= 25
    )  # of 100 events that the API published half may be labels
    assert not [pid for pid in started if alive(pid)]


def _published(port: int) -> int:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/health", verify=False)  # noqa: S501  plain HTTP
        return int(answer.json()["published"])
    except (httpx.HTTPError, KeyError):
        return 0


@pytest.mark.parametrize("command", [["demo", "--events", "100"], ["backtest", "m"]])
def test_a_configured_redis_that_is_away_is_one_clear_line(command: list[str]) -> None:
    """Exit code 69 and one line that names the address without its password, and what to do."""
    done = driftgauge(
        *command, environment={"DRIFTGAUGE_REDIS_URL": "redis://:secret@127.0.0.1:1/0"}
    )
    assert done.returncode == 69
    last = done.stderr.splitlines()
    assert len(last) == 1
    assert last[0].startswith("driftgauge: No Redis at redis://127.0.0.1:1/0")
    assert "secret" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", [["alerts"], ["alerts", "--follow"], ["report"]])
def test_an_api_that_is_away_is_one_clear_line(command: list[str]) -> None:
    """Exit code 69 and one line that names the address, and what to do."""
    done = driftgauge(*command, "--url", "http://127.0.0.1:1")
    assert done.returncode == 69
    (line,) = done.stderr.splitlines()
    assert line.startswith("driftgauge: No API at http://127.0.0.1:1")
    assert "driftgauge serve" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "abc"), ("REDIS_URL", "http://x"), ("PANE_EVENTS", "0"), ("KEY_PREFIX", "a{b}")],
)
def test_bad_configuration_is_one_clear_line(name: str, value: str) -> None:
    """Exit code 78 and the name of the variable."""
    done = driftgauge("backtest", "m", environment={f"DRIFTGAUGE_{name}": value})
    assert done.returncode == 78
    assert f"DRIFTGAUGE_{name}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
