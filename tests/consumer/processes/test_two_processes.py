"""A worker of two processes, each killed in turn: one counts, the other judges."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from driftgauge.consumer.processes.cores import processes_of
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.processes import reserved_port
from tests.fork_server import FORKS
from tests.integration.plant import (
    MODEL,
    append,
    arrived,
    counters,
    events,
    judged_all,
    publish,
    wait_for,
)

WORKER = (sys.executable, "-m", "driftgauge", "worker")
LEASE_MS = 1500


class Plant:
    """A worker of two processes, started by the command, and the log that it counts."""

    def __init__(self, client: redis.Redis, url: str, keys: Keys, folder: Path, port: int) -> None:
        self.client, self.keys, self.folder, self.port = client, keys, folder, port
        self.sent = 0
        self.environment = {
            **os.environ,
            "DRIFTGAUGE_REDIS_URL": url,
            "DRIFTGAUGE_KEY_PREFIX": keys.prefix,
            "DRIFTGAUGE_LEASE_MS": str(LEASE_MS),
            "DRIFTGAUGE_COMMIT_MS": "50",
            "DRIFTGAUGE_DATA_DIR": str(folder),
            "DRIFTGAUGE_REPORTS_DIR": str(folder / "reports"),
        }
        publish(client, keys)

    @contextmanager
    def worker(self, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the command until the context ends."""
        log = self.folder / "worker.log"
        with log.open("ab") as output:
            command = [*WORKER, "--processes", "2", *options]
            process = FORKS.popen(command, output, output, self.environment)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(60)

    def send(self, number: int) -> None:
        """Append events to the log."""
        start_ms = int(time.time() * 1000) - 60_000
        first = self.sent + 1
        append(
            self.client,
            self.keys.log(MODEL, 0),
            events(1, number, start_ms, first=first),
            with_ids=False,
        )
        self.sent += number

    def settled(self) -> None:
        """Wait until all is counted and judged; none was counted twice."""
        wait_for(lambda: arrived(self.client, self.keys) >= self.sent, "all events to be counted")
        wait_for(lambda: judged_all(self.client, self.keys), "all panes to be judged")
        found = counters(self.client, self.keys)
        assert (found.events, found.duplicates, found.dead) == (self.sent, 0, 0)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30)


@pytest.fixture
def plant(client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path) -> Iterator[Plant]:
    with reserved_port(19_900, "127.0.0.1") as port:
        yield Plant(client, redis_url, keys, tmp_path, port)


def judging_pid(parent: int) -> int | None:
    """Process id of a worker's other process; None while there is none."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    threads = Path(f"/proc/{parent}/task").glob("*/children")
    children = {pid for file in threads for pid in file.read_text().split()} | set(found)
    return int(children.pop()) if children else None


def lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_two_processes_do_the_work_of_one(plant: Plant) -> None:
    """One counts, the other judges; the port tells the metrics of both and is ready with both; the
    one that judges is started again when it is killed, without a loss; and one signal ends both.
    """
    with plant.worker("--port", str(plant.port)) as process:
        plant.send(3000)
        plant.settled()
        wait_for(lambda: plant.get("/readyz").status_code == 200, "both to be ready")
        text = plant.get("/metrics").text
        for stage in ("counting", "judging", "reporting"):
            assert f'driftgauge_leases_held{{stage="{stage}"}} 1' in text
        assert text.count("\ndriftgauge_worker_models 1\n") == 1
        first = judging_pid(process.pid)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        plant.send(3000)
        wait_for(lambda: judging_pid(process.pid) not in {None, first}, "another process")
        plant.settled()
        second = judging_pid(process.pid)
        process.terminate()
        assert process.wait(60) == 0
        assert second is not None
        assert not lives(second)
    said = (plant.folder / "worker.log").read_text()
    assert "The process that judges ended by itself (exit code -9)" in said
    assert "Traceback" not in said


def test_a_killed_counter_takes_the_judge_along(plant: Plant) -> None:
    """When the process that counts is killed the other one ends by itself, and the next worker goes
    on where both stopped.
    """
    with plant.worker() as process:
        plant.send(3000)
        wait_for(lambda: counters(plant.client, plant.keys).events, "some to be counted")
        other = wait_for(lambda: judging_pid(process.pid), "the other process")
        process.kill()
        process.wait(60)
        wait_for(lambda: not lives(other), "the other process to end")
    with plant.worker() as process:
        plant.send(3000)
        plant.settled()
        process.terminate()
        assert process.wait(60) == 0


def test_settings_that_the_judge_refuses_end_both(plant: Plant) -> None:
    """A policy file that cannot be used is read by the process that judges; the command says why,
    and ends with the same code as one process does.
    """
    policy = plant.folder / "policy.toml"
    policy.write_text("nonsense = 1\n")
    plant.environment["DRIFTGAUGE_POLICY_FILE"] = str(policy)
    with plant.worker() as process:
        assert process.wait(60) == 78
    assert "nonsense" in (plant.folder / "worker.log").read_text()


def test_one_core_has_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is set, a worker has a process for each of two things on two cores, and one on
    one.
    """
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert [processes_of(wanted) for wanted in (0, 1, 2)] == [1, 1, 2]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert [processes_of(wanted) for wanted in (0, 1, 2)] == [2, 1, 2]
