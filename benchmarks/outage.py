"""POST /predict while Redis is cut: the rate before, during and after, and the p99 of the first
second of each.

    python -m benchmarks.outage [--seconds S]

A private Redis is killed with -9 under the load of 64 connections, and started again later. Every
request must be answered 200; during the cut its event is on disk before the answer. The load comes
from this process and shares its cores with API and Redis.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import click
import httpx
import msgspec
import numpy as np

from benchmarks.results import ResultRow, write
from benchmarks.serving import CONNECTIONS, HOST, WARM_UP_S, answers, request
from driftgauge.models.common.training import register
from driftgauge.models.steel.train import MODEL, train
from driftgauge.shared.local import processes
from driftgauge.shared.local.deployment import environment
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import read_settings


class Answer(msgspec.Struct):
    """The field that is read of an answer."""

    event: str


@dataclass
class Samples:
    """Time and duration of each answer, and the outcome of its event."""

    moments: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)

    def row(self, phase: str, start: float, end: float) -> ResultRow:
        moments = np.array(self.moments)
        inside = np.flatnonzero((moments >= start) & (moments < end))
        took = np.array(self.latencies)[inside] * 1000
        found = Counter(self.outcomes[at] for at in inside)
        first = took[moments[inside] < start + 1]
        return {
            "phase": phase,
            "per_s": round(len(inside) / (end - start)),
            "p50_ms": round(float(np.percentile(took, 50)), 1),
            "p99_ms": round(float(np.percentile(took, 99)), 1),
            "first_s_p99_ms": round(float(np.percentile(first, 99)), 1),
            "slowest_ms": round(float(took.max()), 1),
            **{
                outcome: found[outcome] for outcome in ("published", "spooled", "queued", "dropped")
            },
        }


class Caller(asyncio.Protocol):
    """One keep-alive connection that posts again as soon as it is answered."""

    def __init__(self, request: bytes, samples: Samples) -> None:
        self._request = request
        self._samples = samples
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(
            head.lower().partition(b"content-length: ")[2].split(b"\r", 1)[0]
        ):
            return
        assert head.startswith(b"HTTP/1.1 200"), head + body
        now = time.perf_counter()
        self._samples.moments.append(now)
        self._samples.latencies.append(now - self._sent)
        self._samples.outcomes.append(msgspec.json.decode(body, type=Answer).event)
        self._buffer = b""
        self._send()


async def load(port: int, body: bytes, server: EmbeddedRedis, seconds: float) -> list[ResultRow]:
    """Load the API through a cut of Redis."""
    samples = Samples()
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: Caller(request("/predict", body), samples), HOST, port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(WARM_UP_S)
    marks = [time.perf_counter()]
    await asyncio.sleep(seconds)
    marks.append(time.perf_counter())
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(seconds)
    marks.append(time.perf_counter())
    await asyncio.to_thread(server.start)
    await asyncio.sleep(seconds)
    marks.append(time.perf_counter())
    for transport, _ in opened:
        transport.close()
    return [
        samples.row(phase, *marks[at : at + 2])
        for at, phase in enumerate(("before", "Redis away", "back again"))
    ]


async def drained(port: int) -> float:
    """Wait until nothing is on disk any more; return the seconds."""
    started = time.perf_counter()
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", trust_env=False) as http:
        while (await http.get("/health")).json()["spooled"]["events"]:  # noqa: ASYNC110  it is another process's
            await asyncio.sleep(0.05)
    return time.perf_counter() - started


async def _both(
    port: int, body: bytes, server: EmbeddedRedis, seconds: float
) -> tuple[list[ResultRow], float]:
    """Load the API and wait for the spool, in one loop: Redis ends with the thread that started it,
    and a loop's threads end with the loop.
    """
    return await load(port, body, server, seconds), await drained(port)


def measure(seconds: float, folder: Path) -> list[ResultRow]:
    trained = train(None)
    register(MODEL.patient, trained, ModelRegistry(folder / "registry"), version="1.0.0")
    body = msgspec.json.encode({"features": trained.holdout.head(1).to_dict("records")[0]})
    with EmbeddedRedis(folder / "redis") as server:
        port = processes.free_port(8950)
        settings = read_settings(
            redis_url=server.url,
            registry_dir=folder / "registry",
            data_dir=folder / "data",
            port=port,
            host=HOST,
        )
        log = folder / "api.log"
        command = [
            sys.executable,
            "-c",
            "from driftgauge.producer.commands.serve import serve; serve()",
        ]
        api = processes.start(command, log, {**os.environ, **environment(settings)})
        try:
            processes.wait_until(lambda: answers(port), api, "The API", log)
            rows, empty = asyncio.run(_both(port, body, server, seconds))
            print(f"The spool was empty {empty:.1f} s after the load.")
            return rows
        finally:
            processes.stop(api)


SMOKE = ("--seconds", "1")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option(
    "--seconds", default=5.0, show_default=True, help="Time before, during and after the cut."
)
def main(seconds: float) -> None:
    """Measure POST /predict while Redis is cut."""
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(seconds, Path(folder))
    for row in rows:
        row["of_before"] = round(row["per_s"] / rows[0]["per_s"], 2)
    write(
        "outage",
        f"POST /predict, {CONNECTIONS} connections, Redis killed with -9 and started again",
        rows,
    )


if __name__ == "__main__":
    main()
