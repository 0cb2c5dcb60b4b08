"""What a monitor promises an application: it never raises or waits, and says what became of what
was logged.
"""

import enum
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from driftgauge.client import Monitor, sender
from driftgauge.client.unit import MOST
from tests.client.fake_api import Answer, Asked, FakeApi, fake_api, taken
from tests.integration.plant import wait_for
from tests.places import ROOT

ROW = {"x": 1.5, "y": 2}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as found:
        yield found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test need not wait for."""
    monkeypatch.setattr(sender, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(sender, "IDLE_S", 0.05)


def test_what_is_logged_arrives(api: FakeApi) -> None:
    """Predictions and labels arrive in their order, with all that was said of them, numbered for
    their partition by one publisher each, as gzip of newline-delimited JSON.
    """
    with Monitor(api.url + "/base/", "steel", key="secret", version="1.0.0") as monitor:
        first = monitor.log(ROW, 41.7)
        moment = datetime(2025, 11, 20, tzinfo=UTC)
        assert monitor.log(ROW, "a", [0.5, 0.5], id="own", time=moment, latency_ms=2.5) == "own"
        monitor.label(first, 40)
        for _ in range(20):
            monitor.log(ROW, 1)
        assert monitor.flush()
        assert monitor.stats["sent"] == monitor.stats["logged"] == 23
    requests = {one.path: one for one in api.asked}
    assert set(requests) == {"/base/events", "/base/labels"}
    events, labels = requests["/base/events"], requests["/base/labels"]
    assert events.headers["Authorization"] == "Bearer secret"
    assert events.headers["Content-Type"] == "application/x-ndjson"
    assert events.query["model"] == "steel"
    assert events.query["partitions"] == "1"
    assert events.query["publisher"].removesuffix(".e") == labels.query["publisher"].removesuffix(
        ".l"
    )
    sent = [item for one in api.asked if one.path == "/base/events" for item in one.items]
    assert [item["number"] for item in sent] == list(range(1, 23))
    assert abs(sent[0].pop("time") - time.time() * 1000) < 60_000
    assert sent[0] == {
        "features": ROW,
        "prediction": 41.7,
        "id": first,
        "version": "1.0.0",
        "number": 1,
    }
    assert sent[1] == {
        "features": ROW,
        "prediction": "a",
        "probabilities": [0.5, 0.5],
        "latency_ms": 2.5,
        "own_id": True,
        "id": "own",
        "time": 1763596800000,
        "version": "1.0.0",
        "number": 2,
    }
    assert labels.items[0].pop("time") > 0
    assert labels.items == [{"prediction_id": first, "label": 40, "number": 1}]


class Grade(enum.Enum):
    GOOD = "good"


def test_values_of_other_libraries(api: FakeApi) -> None:
    """Values of numpy, pandas, decimal, datetime and enum become plain ones, what is missing
    becomes null; and rows of pandas are taken as they are.
    """
    features = {
        "a": np.float32(0.5),
        "b": np.int64(3),
        "c": np.bool_(True),
        "d": Decimal("1.5"),
        "e": float("nan"),
        "f": np.float32("inf"),
        "g": pd.NaT,
        "h": pd.NA,
        "i": Grade.GOOD,
        "j": pd.Timestamp("2025-01-01"),
    }
    with Monitor(api.url, "steel") as monitor:
        monitor.log(features, np.float64(2.0), np.array([0.25, 0.75]))
        monitor.log(pd.Series(ROW), 1)
        assert monitor.flush()
    first, second = api.events()
    assert first["features"] == {
        "a": 0.5, "b": 3, "c": True, "d": 1.5, "e": None, "f": None, "g": None, "h": None,
        "i": "good", "j": "2025-01-01T00:00:00",
    }  # fmt: skip
    assert (first["prediction"], first["probabilities"]) == (2.0, [0.25, 0.75])
    assert second["features"] == ROW


@pytest.mark.parametrize("spool", [False, True])
def test_what_is_changed_later_is_not_sent(api: FakeApi, tmp_path: Path, spool: bool) -> None:  # noqa: FBT001  a parameter
    """What the caller does to its features or probabilities after `log` changes no event."""
    kept: dict[str, Any] = {"x": 1.0}
    listed: dict[str, Any] = {"x": [1.0]}
    shares = [0.5, 0.5]
    with Monitor(api.url, "steel", spool=tmp_path if spool else None) as monitor:
        monitor.log(kept, 1)
        monitor.log(listed, 1)
        monitor.log(kept, 1, shares)
        kept["x"] = kept["y"] = listed["x"][0] = shares[0] = 9.0
        assert monitor.flush()
    assert [one["features"] for one in api.events()] == [{"x": 1.0}, {"x": [1.0]}, {"x": 1.0}]
    assert api.events()[2]["probabilities"] == [0.5, 0.5]


def test_it_never_raises(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be serialised costs that event alone; it is counted, and told to the log."""
    circle: dict[str, Any] = {}
    circle["x"] = circle
    with Monitor(api.url, "steel") as monitor:
        for features in ({"x": object()}, circle, 7, None, {"x": 10**5000}):
            assert monitor.log(features, 1)
        monitor.log(ROW, 1, id="")
        monitor.log(ROW, 1, id="x" * 129)
        monitor.label(object(), {1, 2})
        monitor.log(ROW, 1, id="good")
        assert monitor.flush()
        assert monitor.stats["dropped"] == {"unserialisable": 8}
    monitor.log(ROW, 1)
    assert monitor.stats["dropped"] == {"unserialisable": 8, "closed": 1}
    assert api.ids() == ["good"]
    assert "({'unserialisable': 8} in all)" in caplog.text


def test_only_an_address_is_taken() -> None:
    """A wrong address is the programmer's fault, and told at once."""
    with pytest.raises(ValueError, match="http or https"):
        Monitor("localhost:8000", "steel")


def test_batches_are_bounded(api: FakeApi) -> None:
    """No request has more than 500 events."""
    with Monitor(api.url, "steel") as monitor:
        for _ in range(1234):
            monitor.log(ROW, 1)
        assert monitor.flush()
    assert max(len(one.items) for one in api.asked) == MOST
    assert [item["number"] for item in api.events()] == list(range(1, 1235))


@pytest.mark.parametrize(
    "fault",
    [
        (0, {}),
        (429, {"headers": {"Retry-After": "0"}}),
        (503, {}),
        (404, {}),
        (202, {"event": "queued"}),
    ],
)
def test_what_may_not_have_arrived_is_sent_again(fault: Answer) -> None:
    """Silence, too many requests, a fault of the API, or events that only its memory holds: the
    same is sent again under the same numbers, and nothing overtakes it.
    """
    left = [fault, fault]
    with (
        fake_api(lambda asked: left.pop() if left else taken(asked)) as api,
        Monitor(api.url, "steel") as monitor,
    ):
        monitor.log(ROW, 1, id="a")
        wait_for(lambda: not left, "two requests in vain")
        monitor.log(ROW, 2, id="b")
        assert monitor.flush()
        retries: Any = monitor.stats["retries"]
    assert retries >= 1
    numbers = [(item["id"], item["number"]) for item in api.events()]
    assert set(numbers) == {("a", 1), ("b", 2)}
    assert {one.query["publisher"] for one in api.asked} == {api.asked[0].query["publisher"]}


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_what_is_refused_is_not_repeated(status: int) -> None:
    """It is counted, and its numbers are declared before anything else is sent."""
    refusing = [True]

    def answer(asked: Asked) -> Answer:
        return (status, {"detail": "no"}) if refusing else taken(asked)

    with fake_api(answer) as api, Monitor(api.url, "steel") as monitor:
        monitor.log(ROW, 1)
        monitor.log(ROW, 2)
        assert monitor.flush()
        assert (monitor.stats["refused"], monitor.stats["sent"]) == (2, 0)
        assert monitor.stats["last_error"] == f"{status}: no"
        before = len(api.asked)
        refusing.clear()
        monitor.log(ROW, 3)
        assert monitor.flush()
    publisher = api.asked[0].query["publisher"]
    gap, event = api.asked[before:]
    assert (gap.path, gap.items) == (f"/publishers/{publisher}/gaps", [{"gaps": [[0, 1, 2]]}])
    assert (event.numbers, event.query["publisher"]) == ([3], publisher)


def test_refused_events_are_counted_by_the_api() -> None:
    """What is rejected of a batch needs nothing more than to be counted: the API has its number."""
    some = 202, {"accepted": 0, "event": "spooled"}
    with fake_api(lambda _: some) as api, Monitor(api.url, "steel") as monitor:
        monitor.log(ROW, 2)
        monitor.log(ROW, 3)
        assert monitor.flush()
        assert (monitor.stats["refused"], monitor.stats["sent"]) == (2, 0)
    assert {one.path for one in api.asked} == {"/events"}


def test_too_large_a_batch_is_halved() -> None:
    """An event that is too large alone is dropped, its number is declared, the others arrive."""

    def answer(asked: Asked) -> Answer:
        large = len(asked.items) > 2 or any(item.get("id") == "large" for item in asked.items)
        return (413, {}) if large and asked.path == "/events" else taken(asked)

    with fake_api(answer) as api, Monitor(api.url, "steel") as monitor:
        for name in ("a", "b", "large", "c", "d"):
            monitor.log(ROW, 1, id=name)
        assert monitor.flush()
        assert monitor.stats["dropped"] == {"too_large": 1}
        assert monitor.stats["sent"] == 4
        monitor.log(ROW, 1)
        assert monitor.flush()
    gaps = [one.items[0]["gaps"] for one in api.asked if one.path.endswith("/gaps")]
    large = next(item["number"] for item in api.events() if item["id"] == "large")
    assert gaps == [[[0, large, large]]]


def test_other_partitions_are_numbered_anew(api: FakeApi) -> None:
    """What was numbered for one partition, which the API takes none of, is numbered for as many as
    it has, under a new name.
    """
    seen: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        if asked.query["partitions"] != "3":
            return 409, {"partitions": 3}
        seen.append(asked)
        return taken(asked)

    api.answer = answer
    with Monitor(api.url, "steel") as monitor:
        for _ in range(50):
            monitor.log(ROW, 1)
        assert monitor.flush()
    items = [item for one in seen for item in one.items]
    assert len({item["id"] for item in items}) == len(items) == 50
    assert sum(item["number"] == 1 for item in items) == 3
    assert {one.query["publisher"] for one in seen} != {api.asked[0].query["publisher"]}


def test_the_queue_is_bounded_and_nobody_waits() -> None:
    """With an API that is silent, further events are dropped and counted, and `log` goes on."""
    silent = threading.Event()

    def answer(asked: Asked) -> Answer:
        silent.wait(60)
        return taken(asked)

    with fake_api(answer) as api:
        monitor = Monitor(api.url, "steel", queue_events=100)
        begun = time.thread_time()
        for _ in range(1000):
            monitor.log(ROW, 1)
        assert time.thread_time() - begun < 5
        assert monitor.stats["dropped"] == {"queue_full": 900}
        silent.set()
        assert monitor.flush()
        monitor.close()
        assert len(set(api.ids())) == 100


def test_the_end_of_the_process_is_not_put_off_for_long() -> None:
    """A process whose API is silent ends within seconds; one whose API answers sends all before."""
    script = (
        "import sys; from driftgauge.client import Monitor\n"
        "monitor = Monitor(sys.argv[1], 'steel')\n"
        "for place in range(700): monitor.log({'x': place}, 1)\n"
    )
    with fake_api() as api:
        subprocess.run([sys.executable, "-c", script, api.url], cwd=ROOT, check=True, timeout=60)
        assert len(api.events()) == 700
    silent = threading.Event()
    with fake_api(lambda _: (silent.wait(60), (503, {}))[1]) as api:
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", script, api.url], cwd=ROOT, check=True, timeout=60)
        assert time.monotonic() - begun < 30
        silent.set()


FORKS = """
import multiprocessing, os, sys
from driftgauge.client import Monitor
monitor = Monitor(sys.argv[1], "steel", spool=sys.argv[2] or None)
def work(name):
    for place in range(30):
        monitor.log({"x": place}, 1, id=f"{name}-{place}")
    return name
if __name__ == "__main__":
    work("before")
    children = []
    for child in range(2):
        if os.fork() == 0:
            work(f"fork-{child}")
            sys.exit()
        children.append(child)
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        pool.map(work, ["pool-0", "pool-1"], chunksize=1)
        pool.close()
        pool.join()
    for _ in children:
        os.wait()
    work("after")
"""


@pytest.mark.parametrize("spool", [False, True])
def test_processes_that_fork(api: FakeApi, tmp_path: Path, spool: bool) -> None:  # noqa: FBT001  a parameter
    """Made before a fork, a monitor works in the parent and in each child, each as a publisher of
    its own; nothing is sent twice, and what a child of multiprocessing logged is sent at its end.
    """
    folder = str(tmp_path / "spool") if spool else ""
    (tmp_path / "forks.py").write_text(FORKS)
    command = [sys.executable, str(tmp_path / "forks.py"), api.url, folder]
    subprocess.run(command, check=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)})
    names = ["before", "fork-0", "fork-1", "pool-0", "pool-1", "after"]
    assert sorted(api.ids()) == sorted(f"{name}-{place}" for name in names for place in range(30))
    publishers: dict[str, set[int]] = {}
    for one in api.asked:
        publishers.setdefault(one.query["publisher"], set()).update(one.numbers)
    assert sorted(map(len, publishers.values())) == [30, 30, 30, 30, 60]
    assert not spool or not list((tmp_path / "spool").iterdir())


FORK_WHILE_IT_READS = """
import os, sys
from driftgauge.client import Monitor
monitor = Monitor(sys.argv[1], "steel")
monitor.log({"x": 1}, 1)
sys.stdin.readline()  # the head of the answer is on its way, and its body is not
if os.fork() == 0:
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_fork_while_an_answer_is_read() -> None:
    """A process that is forked while the parent's thread reads an answer goes on: no lock of that
    thread is waited for.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-c", FORK_WHILE_IT_READS, url], cwd=ROOT, stdin=subprocess.PIPE
        )
        try:
            asked, _ = server.accept()
            with asked:
                asked.recv(1)
                asked.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 40\r\n\r\n{")
                time.sleep(0.3)  # for the thread to come to the body: without it less is tried
                process.communicate(b"\n", timeout=60)
            assert process.returncode == 0
        finally:
            process.kill()
            process.wait()


def test_what_was_refused_is_told_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first line comes at once, the next one a minute later, with what came since."""
    now = [1000.0]
    monkeypatch.setattr("driftgauge.client.stats.time.monotonic", lambda: now[0])
    from driftgauge.client.stats import Stats

    stats = Stats()
    stats.tell("steel")
    for _ in range(5):
        stats.drop("queue_full")
        stats.tell("steel")
    now[0] += 60
    stats.tell("steel")
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.args[2] for record in told] == [1, 4]  # type: ignore[index]


def test_a_killed_process_leaves_its_spool(api: FakeApi, tmp_path: Path) -> None:
    """What was accepted with a spool and was not sent is sent by the next process, under the old
    numbers; nothing is left on the disk then.
    """
    script = (
        "import os, sys; from driftgauge.client import Monitor\n"
        "monitor = Monitor(sys.argv[1], 'steel', spool=sys.argv[2])\n"
        "for place in range(700): monitor.log({'x': place}, 1, id=f'{place}')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    folder = tmp_path / "spool"
    command = [sys.executable, "-c", script, "http://127.0.0.1:9", str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    with Monitor(api.url, "steel", spool=folder) as monitor:
        monitor.log(ROW, 1, id="next")
        wait_for(lambda: len(set(api.ids())) == 701, "the events of both")
        assert monitor.flush()
    by_publisher = {one.query["publisher"]: one for one in api.asked}
    assert len(by_publisher) == 2
    old = {item["id"]: item["number"] for item in api.events() if item["id"] != "next"}
    assert old == {f"{place}": place + 1 for place in range(700)}
    assert not list(folder.iterdir())
