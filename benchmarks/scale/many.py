"""Many models on one worker and one API: what they cost at rest, and how soon an event of any of
them is counted.

    python -m benchmarks.scale.many [--models N] [--partitions P] [--events E]

A monitored-only model is registered N times. Then API and worker start with a private Redis, each a
process of its own, and are measured: at rest before the first event, while events are posted to one
model after the other, and at rest again when all have been silent for `--settle` seconds. Threads,
memory and processor are those that Linux tells of a process; connections are counted by CLIENT
LIST. At last /metrics is scraped, with a window of 18 features written for each model. The
yardstick is the goal: .05 of a core, 64 connections, a second.
"""

import asyncio
import time
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

import click
import httpx
import msgspec
import numpy as np
import redis

from benchmarks.results import write
from benchmarks.scale.fleet import ROWS, START_S, VERSION, Fleet, Usage, fleet, small
from driftgauge.shared.contract import counters
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.metrics.figures import (
    FeatureFigures,
    Figures,
    MetricFigures,
    PerformanceFigures,
)

FEATURES: Final = 18
LOOKS: Final = 5
LOOK_PAUSE_S: Final = 3.0
"""Time (s) after which an API reads the models anew for its overview."""


async def delays(found: Fleet, events: int, per_second: float) -> list[float]:
    """Post events to one model after the other; return the seconds until each was committed."""
    waiting: dict[str, tuple[int, float]] = {}
    counted: dict[str, int] = {}
    took: list[float] = []
    random = np.random.default_rng(1)
    async with httpx.AsyncClient(base_url=found.url, trust_env=False) as http:

        async def post(model: str) -> None:
            wanted = counted.get(model, 0) + 1
            counted[model], waiting[model] = wanted, (wanted, time.monotonic())
            x, y = random.normal(size=2).tolist()
            body = {"features": {"x": x, "y": y}, "prediction": x, "model": model}
            answer = await http.post("/events", json=body)
            assert answer.is_success, answer.text

        posted: set[asyncio.Task[None]] = set()
        models, begun = cycle(found.models), time.monotonic()
        for number in range(events):
            while time.monotonic() - begun < number / per_second:
                took += await asyncio.to_thread(committed, found, waiting)
                await asyncio.sleep(0.01)
            model = next(models)
            if model not in waiting:
                posted.add(asyncio.create_task(post(model)))
        await asyncio.gather(*posted)
        while waiting:
            took += await asyncio.to_thread(committed, found, waiting)
            await asyncio.sleep(0.01)
            assert time.monotonic() - begun < START_S, f"{len(waiting)} events were not counted"
    return took


def committed(found: Fleet, waiting: dict[str, tuple[int, float]]) -> list[float]:
    """Take out the models whose event is counted by now; return how long each took."""
    asked = list(waiting)
    pipe = found.client.pipeline(transaction=False)
    for model in asked:
        keys = Keys().salted(found.salts[model])
        for partition in range(found.partitions):
            pipe.hget(keys.count(model, partition), counters.FIELD)
    replies, took = iter(pipe.execute()), []
    for model in asked:
        events = sum(counted_events(next(replies)) for _ in range(found.partitions))
        wanted, since = waiting[model]
        if events >= wanted:
            took.append(time.monotonic() - since)
            del waiting[model]
    return took


def counted_events(packed: Any) -> int:
    return msgspec.json.decode(packed, type=Counters).events if packed else 0


def overview(found: Fleet) -> tuple[float, float]:
    """Return how long (s) the overview takes when the models are read, and when they were read a
    moment ago: medians of some requests.
    """
    read, again = list[float](), list[float]()
    with httpx.Client(base_url=found.url, trust_env=False, timeout=60) as http:
        for _ in range(LOOKS):
            time.sleep(LOOK_PAUSE_S)
            for took in (read, again):
                begun = time.monotonic()
                answer = http.get("/", headers={"Accept": "text/html"})
                took.append(time.monotonic() - begun)
                assert answer.is_success, answer.text
    return float(np.median(read)), float(np.median(again))


def judged(found: Fleet) -> None:
    """Write what judging would write of every model for a scrape: a window of `FEATURES` columns
    and five metrics.
    """
    metrics = [MetricFigures(f"metric{number}", 0.8, 0.7, 0.9, 0.8) for number in range(5)]
    labelled = PerformanceFigures("ok", 500, 0.9, [1e3, 2e3, 3e3], metrics, metrics)
    random = np.random.default_rng(2)
    pipe = found.client.pipeline(transaction=False)
    for model in found.models:
        psi = sorted(random.exponential(0.02, FEATURES).tolist(), reverse=True)
        features = [
            FeatureFigures(f"f{place}", "ok", value, 0.1, 0.25, value / 2, 0.0, 0.0, 0.0)
            for place, value in enumerate(psi)
        ]
        whole = Figures(VERSION, "ok", ROWS, 1, features, len(features), [], 0, labelled)
        pipe.hset(Keys().figures(model), VERSION, msgspec.json.encode(whole))
    pipe.execute()


@dataclass(frozen=True)
class Scraped:
    """What a scrape costs: seconds until it is read and until it is told again, seconds of a core
    of the API, MB, samples, and the longest that another request waited meanwhile (s).
    """

    first_s: float
    again_s: float
    cpu_s: float
    size_mb: float
    samples: int
    beside_s: float


async def scraped(found: Fleet) -> Scraped:
    """Scrape some times, and ask for something else all the while; medians."""
    first, again, used, beside = (list[float]() for _ in range(4))
    text = ""
    async with httpx.AsyncClient(base_url=found.url, trust_env=False, timeout=60) as http:

        async def timed(path: str) -> tuple[float, str]:
            begun = time.monotonic()
            answer = await http.get(path)
            assert answer.is_success, answer.text
            return time.monotonic() - begun, answer.text

        for _ in range(LOOKS):
            await asyncio.sleep(LOOK_PAUSE_S)
            before = Usage.of(found.pids["API"])
            asked = asyncio.create_task(timed("/metrics"))
            longest = 0.0
            while not asked.done():
                longest = max(longest, (await timed("/livez"))[0])
                await asyncio.sleep(0.01)
            took, text = await asked
            first.append(took)
            used.append(Usage.of(found.pids["API"]).cpu_s - before.cpu_s)
            beside.append(longest)
            again.append((await timed("/metrics"))[0])
    samples = sum(not line.startswith("#") for line in text.splitlines())
    first_s, again_s, cpu_s = (float(np.median(one)) for one in (first, again, used))
    return Scraped(first_s, again_s, cpu_s, len(text) / 1e6, samples, max(beside))


def alerts(client: redis.Redis, models: list[str]) -> int:
    """Return the number of alerts, which nothing here deserves."""
    pipe = client.pipeline(transaction=False)
    for model in models:
        pipe.xlen(Keys().alerts(model))
    return sum(pipe.execute())


SMOKE = ("--models", "12", "--events", "24", "--seconds", "1", "--settle", "0")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--models", default=1000, show_default=True)
@click.option("--partitions", default=1, show_default=True, help="Partitions of each model.")
@click.option("--events", default=500, show_default=True, help="Events, to all models in turn.")
@click.option("--per-second", default=10.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=30.0, show_default=True, help="Length of a rest.")
@click.option("--settle", default=180.0, show_default=True, help="Silence before the last rest.")
def main(
    models: int, partitions: int, events: int, per_second: float, seconds: float, settle: float
) -> None:
    """Measure, print a table, write benchmarks/results/many.json."""
    with fleet(small(models, partitions)) as found:
        time.sleep(min(settle, 10.0))
        rows = list(found.rest("before the first event", seconds))
        took = asyncio.run(delays(found, events, per_second))
        time.sleep(settle)
        rows += found.rest("after the last event", seconds)
        raised = alerts(found.client, found.models)
        read, again = overview(found)
        judged(found)
        scrape = asyncio.run(scraped(found))
    p50, p99 = (round(float(np.percentile(took, share)), 3) for share in (50, 99))
    print(f"POST to commit: p50 {p50} s, p99 {p99} s of {len(took):,} events; {raised} alerts")
    print(f"The overview: {read:.3f} s, and {again:.3f} s when it was read a moment ago")
    print(
        f"A scrape: {scrape.first_s:.3f} s ({scrape.cpu_s:.2f} s of a core), and "
        f"{scrape.again_s:.3f} s when it was read a moment ago; {scrape.samples:,} samples, "
        f"{scrape.size_mb:.1f} MB; /livez beside it took {scrape.beside_s:.3f} s at most"
    )
    for row in rows:
        row |= {"scrape s": round(scrape.first_s, 3), "scrape core s": round(scrape.cpu_s, 2)}
        row |= {"p99 s": p99, "alerts": raised, "overview s": round(read, 3)}
    what = f"{models:,} models of {partitions} partition(s), {per_second:g} events a second"
    write("many", what, rows)


if __name__ == "__main__":
    main()
