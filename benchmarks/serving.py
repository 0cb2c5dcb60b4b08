"""Throughput of POST /predict at 64 connections, beside a naive endpoint and one that does nothing;
its latency alone; and a page of the dashboard meanwhile.

`python -m benchmarks.serving` prints a table and writes benchmarks/results/serving.json. All three
are endpoints of the same app in the same server process, with the same requests; the load comes
from this process. The naive endpoint is what one writes first: a pydantic body, one scikit-learn
call on one row, one awaited XADD. Both it and /predict answer after Redis has acknowledged the
event. `CPU us` are the seconds of a core that Linux tells of the server process, by the requests:
they do not depend on what else the machine does, as the rate does.
"""

import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from benchmarks.results import ResultRow, write
from benchmarks.scale.fleet import Usage
from driftgauge.models.common.training import register
from driftgauge.models.steel.train import MODEL, train
from driftgauge.producer.access.control import for_everybody
from driftgauge.producer.app import create_app
from driftgauge.producer.server import make_server
from driftgauge.shared.access.listening import listen
from driftgauge.shared.connections.redis_client import connect_async
from driftgauge.shared.contract.events import Prediction, encode
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import read_settings

CONNECTIONS = 64
WARM_UP_S = 1.0
HOST = "127.0.0.1"
ENDPOINTS = ("/predict", "/naive", "/nothing")
PAGE = "/dashboard/models/steel"
PAGE_PAUSE_S = 0.1
"""Pause between two requests for a page."""


@dataclass(frozen=True)
class Measured:
    endpoint: str
    connections: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


class Body(BaseModel):
    features: dict[str, float | None]


def add_yardsticks(app: FastAPI, schema: Schema, estimator: Any, redis_url: str) -> None:
    """Add the endpoints that /predict is compared with."""
    client = connect_async(redis_url)

    @app.post("/naive", include_in_schema=False)
    @for_everybody
    async def naive(body: Body) -> Response:
        started = time.perf_counter()
        row = [body.features[name] for name in schema.names]
        prediction = float(estimator.predict(np.array([row], dtype=np.float64))[0])
        event = Prediction(
            id=new_id(),
            version="1.0.0",
            time=time.time_ns() // 1_000_000,
            features=list(row),
            prediction=prediction,
            latency_ms=(time.perf_counter() - started) * 1000,
        )
        await client.xadd("naive", {"t": "p", "p": "naive", "s": 1, "e": encode(event)})
        return JSONResponse({"id": event.id, "prediction": prediction, "event": "published"})

    @app.post("/nothing", include_in_schema=False)
    @for_everybody
    async def nothing() -> Response:
        return Response(b"{}", media_type="application/json")


def run_server(port: int) -> None:
    """Serve the app with the yardsticks, in a process of its own."""
    settings = read_settings(port=port)
    registry = ModelRegistry(settings.registry_dir)
    app = create_app(settings)
    schema, estimator = (
        registry.load("steel", "1.0.0").schema,
        registry.load_artifact("steel", "1.0.0"),
    )
    add_yardsticks(app, schema, estimator, settings.redis_url or "")
    server = make_server(app)
    with listen(settings.host, settings.port) as listener:
        server.run(sockets=[listener])


def request(endpoint: str, body: bytes) -> bytes:
    """A request as it goes over the wire; the API answers 421 to a host that it does not know."""
    head = f"POST {endpoint} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Caller(asyncio.Protocol):
    """One keep-alive connection that posts again as soon as it is answered."""

    def __init__(self, requests: list[bytes], latencies: list[float]) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._latencies = latencies
        self._next = 0
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._next = (self._next + 1) % len(self._requests)
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._next])

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(
            head.lower().partition(b"content-length: ")[2].split(b"\r", 1)[0]
        ):
            return
        if b"queued" in body or b"dropped" in body or not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(AssertionError((head + body).decode()))
            self._transport.close()
            return
        self._latencies.append(time.perf_counter() - self._sent)
        self._buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        if not self.done.done():
            self.done.set_result(None)


async def load(
    port: int, pid: int, endpoint: str, bodies: list[bytes], seconds: float, connections: int
) -> list[Measured]:
    """Load an endpoint for a while, and measure after a warm-up; of /predict at full load, measure
    a page of the dashboard too.
    """
    requests = [request(endpoint, body) for body in bodies]
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: Caller(requests, latencies), HOST, port)
        for _ in range(connections)
    ]
    await asyncio.sleep(WARM_UP_S)
    latencies.clear()
    started, used = time.perf_counter(), Usage.of(pid).cpu_s
    looks = connections > 1 and endpoint == ENDPOINTS[0]
    pages = await looked(port, seconds) if looks else []
    await asyncio.sleep(max(0.0, started + seconds - time.perf_counter()))
    elapsed, used = time.perf_counter() - started, Usage.of(pid).cpu_s - used
    done = len(latencies)
    found = [_measured(endpoint, connections, latencies, elapsed, 1e6 * used / done)]
    for transport, _ in opened:
        transport.close()
    await asyncio.gather(*(caller.done for _, caller in opened))
    if pages:
        found.append(_measured(f"{PAGE} beside it", 1, pages, elapsed, 0.0))
    return found


def _measured(
    endpoint: str, connections: int, latencies: list[float], elapsed: float, cpu_us: float
) -> Measured:
    p50, p99 = np.percentile(np.array(latencies) * 1000, [50, 99])
    rate = len(latencies) / elapsed
    return Measured(endpoint, connections, rate, float(p50), float(p99), cpu_us)


async def looked(port: int, seconds: float) -> list[float]:
    """Ask for a page again and again; return how long each took."""
    import httpx

    latencies, until = [], time.perf_counter() + seconds
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", trust_env=False) as http:
        while time.perf_counter() < until:
            begun = time.perf_counter()
            answer = await http.get(PAGE, headers={"Accept": "text/html"}, timeout=60)
            latencies.append(time.perf_counter() - begun)
            assert answer.is_success, answer.text
            await asyncio.sleep(PAGE_PAUSE_S)
    return latencies


def answers(port: int) -> bool:
    import httpx

    try:
        return bool(
            httpx.get(f"http://{HOST}:{port}/readyz", trust_env=False).json()["status"] == "ready"
        )
    except httpx.HTTPError:
        return False


def measure(seconds: float, folder: Path) -> list[Measured]:
    """Train the model, start Redis and the server, and load each endpoint in turn."""
    trained = train(None)
    register(MODEL.patient, trained, ModelRegistry(folder / "registry"), version="1.0.0")
    rows = trained.holdout.head(256).to_dict("records")
    bodies = [msgspec.json.encode({"features": row}) for row in rows]
    with EmbeddedRedis(folder / "redis") as server:
        port = processes.free_port(8900)
        environment = {
            **os.environ,
            "DRIFTGAUGE_REDIS_URL": server.url,
            "DRIFTGAUGE_REGISTRY_DIR": str(folder / "registry"),
            "DRIFTGAUGE_ACK_TIMEOUT_MS": "5000",  # all three wait for the acknowledgement
        }
        log = folder / "api.log"
        command = [sys.executable, "-m", "benchmarks.serving", "--serve-on", str(port)]
        api = processes.start(command, log, environment)
        try:
            processes.wait_until(lambda: answers(port), api, "The API", log)
            loads = [*((endpoint, CONNECTIONS) for endpoint in ENDPOINTS), (ENDPOINTS[0], 1)]
            return [
                one
                for endpoint, connections in loads
                for one in asyncio.run(load(port, api.pid, endpoint, bodies, seconds, connections))
            ]
        finally:
            processes.stop(api)


def rows(measured: list[Measured]) -> list[ResultRow]:
    naive = next(row for row in measured if row.endpoint == "/naive").requests_per_s
    return [
        {
            "endpoint": row.endpoint,
            "connections": row.connections,
            "requests_per_s": round(row.requests_per_s),
            "p50_ms": round(row.p50_ms, 1),
            "p99_ms": round(row.p99_ms, 1),
            "CPU us": round(row.cpu_us, 1),
            "times_naive": round(row.requests_per_s / naive, 2),
        }
        for row in measured
    ]


SMOKE = ("--seconds", "0.3")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="Time for each endpoint.")
@click.option("--serve-on", type=int, hidden=True, help="Port: be the server of a measurement.")
def main(seconds: float, serve_on: int | None) -> None:
    """Measure POST /predict beside a naive endpoint and one that does nothing."""
    if serve_on is not None:
        run_server(serve_on)
        return
    with tempfile.TemporaryDirectory() as folder:
        write("serving", f"{CONNECTIONS} connections", rows(measure(seconds, Path(folder))))


if __name__ == "__main__":
    main()
