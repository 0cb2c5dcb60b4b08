"""The client: how long `log` takes in an application that logs 10,000 predictions a second, beside
two ways to hand something to a thread that everybody knows: `queue.put` and a QueueHandler of
`logging`. And what its import costs.

    python -m benchmarks.client [--seconds S] [--rate R]

An API that takes everything runs as a process of its own, so that only the client's work is
measured. On a machine that others use as well, a call waits for them: the time that its thread had
a processor says what it costs itself.
"""

import json
import logging
import logging.handlers
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import numpy as np

from benchmarks.results import ResultRow, write
from driftgauge.client import Monitor

FEATURES = 18
LIMIT_US = 50.0
"""The 99 % quantile that is promised, in µs."""
IMPORTS = 5
SINK = """
import gzip, json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        answer = json.dumps({"accepted": body.count(b"\\n") + 1, "event": "published"}).encode()
        self.send_response(202)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
IMPORT = """
import sys, time
begun = time.process_time()
import driftgauge.client
print(1000 * (time.process_time() - begun))
"""

Times = tuple[list[float], list[float]]
"""Times of calls, and of their thread on a processor, in seconds."""

SMOKE = ("--seconds", "0.5", "--rate", "2000")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="Of each way.")
@click.option("--rate", default=10_000, show_default=True, help="Calls a second.")
def main(seconds: float, rate: int) -> None:
    """Measure, print a table, write benchmarks/results/client.json."""
    random = np.random.default_rng(0)
    rows_ = [
        {f"feature_{place}": value for place, value in enumerate(row)}
        for row in random.normal(size=(1000, FEATURES)).tolist()
    ]
    calls = int(seconds * rate)
    found = [
        _row("queue.put", _with_queue(rows_, calls, rate)),
        _row("logging.QueueHandler", _with_logging(rows_, calls, rate)),
    ]
    with sink() as url, tempfile.TemporaryDirectory() as folder:
        for name, spool in (("Monitor.log", None), ("Monitor.log, with spool", folder)):
            with Monitor(url, "bench", spool=spool, queue_events=2 * calls) as monitor:
                times = paced(lambda row: monitor.log(row, 1.0, latency_ms=2.0), rows_, calls, rate)
                monitor.flush(60)
                assert monitor.stats["sent"] == calls, monitor.stats
            found.append(_row(name, times))
    found.append({"call": f"import driftgauge.client: {_import_ms():.0f} ms", **_NOTHING})
    write("client", f"{rate:,} calls a second, {FEATURES} features, {seconds:g} s of each", found)
    slow = [row["call"] for row in found if "Monitor" in row["call"] and row["p99 µs"] > LIMIT_US]
    if slow:
        click.echo(f"slower than {LIMIT_US:g} µs at the 99 % quantile: {', '.join(slow)}")


def paced(
    call: Callable[[dict[str, float]], object],
    rows: list[dict[str, float]],
    calls: int,
    rate: int,
) -> Times:
    """Call at a rate; return how long each call took, and for how much of it its thread had a
    processor, in seconds. Between them the processor is free for others.
    """
    times, own = [], []
    clock = time.perf_counter
    begun = clock()
    for number in range(calls):
        while clock() < begun + number / rate:
            time.sleep(2e-5)
        row = rows[number % len(rows)]
        started, used = clock(), time.thread_time()
        call(row)
        own.append(time.thread_time() - used)
        times.append(clock() - started)
    return times, own


def _with_queue(rows: list[dict[str, float]], calls: int, rate: int) -> Times:
    waiting: queue.Queue[str] = queue.Queue()
    with _drained(waiting):
        return paced(lambda row: waiting.put(json.dumps(row)), rows, calls, rate)


def _with_logging(rows: list[dict[str, float]], calls: int, rate: int) -> Times:
    waiting: queue.Queue[logging.LogRecord] = queue.Queue()
    logger = logging.getLogger("benchmarks.client")
    logger.setLevel("INFO")
    logger.propagate = False
    handler = logging.handlers.QueueHandler(waiting)
    logger.addHandler(handler)
    listener = logging.handlers.QueueListener(waiting, logging.NullHandler())
    listener.start()
    try:
        return paced(lambda row: logger.info("%s", json.dumps(row)), rows, calls, rate)
    finally:
        listener.stop()
        logger.removeHandler(handler)


@contextmanager
def _drained(waiting: "queue.Queue[str]") -> Iterator[None]:
    """Let a thread take what is put, as a sender would."""
    import threading

    ended = threading.Event()

    def take() -> None:
        while not (ended.is_set() and waiting.empty()):
            try:
                waiting.get(timeout=0.1)
            except queue.Empty:  # nothing came
                continue

    thread = threading.Thread(target=take)
    thread.start()
    yield
    ended.set()
    thread.join()


@contextmanager
def sink() -> Iterator[str]:
    """Start the API that takes everything; give its address."""
    process = subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()


def _import_ms() -> float:
    """Return the time of a processor that the import takes: the least of some."""
    runs = [
        subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
        for _ in range(IMPORTS)
    ]
    return min(float(run.stdout) for run in runs)


_NOTHING: ResultRow = {"median µs": 0.0, "p99 µs": 0.0, "p99 µs of a processor": 0.0}


def _row(name: str, times: Times) -> ResultRow:
    took, own = (np.array(one) * 1e6 for one in times)
    return {
        "call": name,
        "median µs": round(float(np.quantile(took, 0.5)), 1),
        "p99 µs": round(float(np.quantile(took, 0.99)), 1),
        "p99 µs of a processor": round(float(np.quantile(own, 0.99)), 1),
    }


if __name__ == "__main__":
    main()
