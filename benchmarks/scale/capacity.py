"""What an event costs API, worker, Redis and network, for `driftgauge plan`.

    python -m benchmarks.scale.capacity [--events N] [--write]

For each mix of columns an API, a worker and a private Redis with its append-only file start as
processes. Events are posted in lists of 500 as fast as they are taken, labels of them follow where
the mix has some, and the worker, which was halted meanwhile, counts all of it: so it reads as much
at once as it can, as it does under its greatest load. Seconds of a core are those that Linux tells
of each process, bytes those that Redis tells. Then events come slowly, which shows what a model
costs however little comes.

Costs are fitted as sums of parts, none below 0 (non-negative least squares of relative errors); the
yardstick is how far the fit is from what was measured.
"""

import asyncio
import os
import platform
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import click
import httpx
import msgspec
import numpy as np
from scipy.optimize import nnls

from benchmarks.results import ResultRow, write
from benchmarks.scale.fleet import START_S, VERSION, Fleet, Usage, fleet
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.planning.costs import Cost, Costs, Shape
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest

MODEL: Final = "bench"
LIST: Final = 500
"""Events of a request."""
AT_ONCE: Final = 4
"""Requests under way."""
WARM: Final = 2000
"""Events before the measurement."""
SLOW: Final = 250
"""Events a second of the slow traffic."""
REFERENCE: Final = 5000
CATEGORIES: Final = np.array([f"category-{number}" for number in range(30)], dtype=object)
SHAPES: Final = (
    Shape(6),
    Shape(18),
    Shape(54),
    Shape(12, 6),
    Shape(12, 6, 3),
    Shape(18, labels=1.0),
    Shape(54, labels=1.0),
)
PATH: Final = Path(__file__).parents[2] / "shared" / "planning" / "costs.json"


class Server(NamedTuple):
    """What Redis tells of itself: bytes in and out since its start."""

    taken: int
    given: int

    @classmethod
    def of(cls, found: Fleet) -> "Server":
        info = found.client.info("stats")
        return cls(info["total_net_input_bytes"], info["total_net_output_bytes"])


@dataclass(frozen=True)
class Measured:
    """What a mix costs, per event; times in µs of a core."""

    shape: Shape
    api_us: float
    worker_us: float
    redis_us: float
    log_bytes: float
    pane_bytes: float
    waiting_bytes: float
    request_bytes: float
    redis_in_bytes: float
    redis_out_bytes: float
    api_mb: float
    worker_mb: float
    slow_cores: float


def version_of(shape: Shape) -> PublishedVersion:
    """Make a monitored-only version with columns of a mix."""
    random = np.random.default_rng(0)
    schema = Schema(
        (
            *(Feature(f"n{place}", "numeric") for place in range(shape.numeric)),
            *(Feature(f"c{place}", "categorical") for place in range(shape.categorical)),
        ),
        segments=tuple(f"c{place}" for place in range(shape.segments)),
    )
    profile = build_profile(schema, columns_of(random, shape, REFERENCE), random.normal(size=5000))
    manifest = new_manifest(MODEL, VERSION, "monitor", labels=shape.labels > 0)
    return PublishedVersion(manifest, schema, profile)


def columns_of(random: np.random.Generator, shape: Shape, rows: int) -> list[Column]:
    """Draw rows of a mix, without drift."""
    numbers: list[Column] = [random.normal(size=rows).round(4) for _ in range(shape.numeric)]
    return numbers + [
        CATEGORIES[random.integers(0, len(CATEGORIES), rows)] for _ in range(shape.categorical)
    ]


def bodies_of(shape: Shape, lists: int) -> list[bytes]:
    """Make requests of `LIST` events each."""
    random = np.random.default_rng(1)
    names = version_of(shape).schema.names
    found = []
    for _ in range(lists):
        columns = [np.asarray(column).tolist() for column in columns_of(random, shape, LIST)]
        events = [
            {"features": dict(zip(names, row, strict=True)), "prediction": round(value, 4)}
            for row, value in zip(
                zip(*columns, strict=True), random.normal(size=LIST).tolist(), strict=True
            )
        ]
        found.append(msgspec.json.encode(events))
    return found


async def post(http: httpx.AsyncClient, path: str, bodies: list[bytes]) -> list[str]:
    """Send requests, some at once; return the ids of the events."""
    ids: list[str] = []
    waiting = iter(bodies)

    async def some() -> None:
        for body in waiting:
            answer = await http.post(
                path, content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.is_success, answer.text
            ids.extend(item["id"] for item in answer.json().get("events", []) if path == "/events")

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return ids


async def slowly(http: httpx.AsyncClient, body: bytes, seconds: float) -> int:
    """Send `SLOW` events a second one by one for some time; return their number."""
    events = [msgspec.json.encode(event) for event in msgspec.json.decode(body)]
    begun, sent = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        due = int(passed * SLOW) - sent
        await post(http, "/events", [events[(sent + place) % len(events)] for place in range(due)])
        sent += due
        await asyncio.sleep(0.02)
    return sent


def until_counted(found: Fleet, wanted: int) -> None:
    """Wait until so many events and joined labels are committed."""
    begun = time.monotonic()
    while found.counted(MODEL) < wanted:
        assert time.monotonic() - begun < START_S, f"{found.counted(MODEL)} of {wanted} counted"
        time.sleep(0.05)


def until_closed(found: Fleet, panes: str) -> None:
    """Wait until a pane is closed: one that is full closes a second after its first event."""
    begun = time.monotonic()
    while not found.client.xlen(panes):
        assert time.monotonic() - begun < START_S, "no pane closed"
        time.sleep(0.05)


async def measured(shape: Shape, events: int, seconds: float) -> Measured:
    """Start everything, and measure one mix."""
    keys = Keys()
    lists = max(1, events // LIST)
    events = lists * LIST
    bodies = bodies_of(shape, lists)
    with fleet([version_of(shape)]) as found:
        async with httpx.AsyncClient(base_url=found.url, trust_env=False, timeout=60) as http:
            await post(http, "/events", bodies[:1] * (WARM // LIST))
            await asyncio.to_thread(until_counted, found, WARM)
            before = {name: Usage.of(pid) for name, pid in found.pids.items()}
            talked = Server.of(found)
            os.kill(found.pids["worker"], signal.SIGSTOP)
            ids = await post(http, "/events", bodies)
            labels = 0
            if shape.labels:
                labels = len(ids)
                told = [
                    msgspec.json.encode([{"id": one, "label": 0.5} for one in ids[at : at + LIST]])
                    for at in range(0, len(ids), LIST)
                ]
                await post(http, "/labels", told)
            os.kill(found.pids["worker"], signal.SIGCONT)
            await asyncio.to_thread(until_counted, found, WARM + events + labels)
            after = {name: Usage.of(pid) for name, pid in found.pids.items()}
            ended = Server.of(found)
            log = found.client.memory_usage(keys.log(MODEL, 0), samples=0) or 0
            waiting = sum(
                found.client.memory_usage(key, samples=0) or 0
                for key in found.client.scan_iter(f"*{MODEL}*:pending:*")
            )
            panes = keys.panes(MODEL, 0)
            await asyncio.to_thread(until_closed, found, panes)
            pane = (found.client.memory_usage(panes, samples=0) or 0) / found.client.xlen(panes)
            worker = Usage.of(found.pids["worker"]).cpu_s
            begun = time.monotonic()
            sent = await slowly(http, bodies[0], seconds)
            await asyncio.to_thread(until_counted, found, WARM + events + labels + sent)
            busy = (Usage.of(found.pids["worker"]).cpu_s - worker) / (time.monotonic() - begun)

    def us(name: str) -> float:
        return (after[name].cpu_s - before[name].cpu_s) / events * 1e6

    return Measured(
        shape,
        us("API"),
        us("worker"),
        us("Redis"),
        log / (WARM + events),
        pane,
        waiting / (WARM + events),
        sum(map(len, bodies)) / events,
        (ended.taken - talked.taken) / events,
        (ended.given - talked.given) / events,
        after["API"].memory_mb,
        after["worker"].memory_mb,
        max(0.0, busy - SLOW * us("worker") / 1e6),
    )


def fitted(rows: list[Measured], cost: Callable[[Measured], float]) -> tuple[Cost, float]:
    """Fit a cost as a sum of parts; return it, and the largest relative error."""
    parts = np.array(
        [
            [1, row.shape.numeric, row.shape.categorical, row.shape.segments, row.shape.labels]
            for row in rows
        ],
        dtype=float,
    )
    values = np.array([cost(row) for row in rows])
    found, _ = nnls(parts / values[:, None], np.ones(len(rows)))
    error = float(np.abs(parts @ found / values - 1).max())
    return Cost(*(float(f"{part:.3g}") for part in found)), error


def costs_of(rows: list[Measured]) -> tuple[Costs, dict[str, float]]:
    """Fit all costs; return them, and the largest relative error of each."""
    names = [name for name, kind in Costs.__annotations__.items() if kind is Cost]
    fits = {name: fitted(rows, lambda row, name=name: getattr(row, name)) for name in names}  # type: ignore[misc]  # mypy does not infer a lambda with a default
    waiting = [row.waiting_bytes for row in rows if row.waiting_bytes]
    costs = Costs(
        machine=f"{platform.machine()}, Python {platform.python_version()}",
        model_cores=float(f"{np.median([row.slow_cores for row in rows]):.2g}"),
        waiting_bytes=float(f"{np.mean(waiting):.3g}") if waiting else 0.0,
        api_mb=round(max(row.api_mb for row in rows)),
        worker_mb=round(max(row.worker_mb for row in rows)),
        **{name: cost for name, (cost, _) in fits.items()},
    )
    return costs, {name: error for name, (_, error) in fits.items()}


SMOKE = ("--events", "1000", "--seconds", "0.5", "--mixes", "2")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--events", default=200_000, show_default=True, help="Of each mix.")
@click.option("--seconds", default=20.0, show_default=True, help="Of slow traffic.")
@click.option("--mixes", default=len(SHAPES), show_default=True, help="Only so many of them.")
@click.option("--write", "keep", is_flag=True, help="Also write the costs of `driftgauge plan`.")
def main(events: int, seconds: float, mixes: int, *, keep: bool) -> None:
    """Measure, print a table, write benchmarks/results/capacity.json."""
    rows = [asyncio.run(measured(shape, events, seconds)) for shape in SHAPES[:mixes]]
    costs, errors = costs_of(rows)
    shown = []
    for row in rows:
        values = {
            name: round(value, 3) for name, value in msgspec.structs.asdict(row.shape).items()
        }
        values |= {
            name: round(getattr(row, name), 2)
            for name in Measured.__annotations__
            if name != "shape"
        }
        shown.append(
            ResultRow(values | {"largest error of the fit": round(max(errors.values()), 3)})
        )
    write("capacity", f"{events:,} events of each mix", shown)
    print(msgspec.json.format(msgspec.json.encode(costs), indent=2).decode())
    print({name: round(error, 3) for name, error in errors.items()})
    if keep:
        PATH.write_bytes(msgspec.json.format(msgspec.json.encode(costs), indent=2) + b"\n")


if __name__ == "__main__":
    main()
