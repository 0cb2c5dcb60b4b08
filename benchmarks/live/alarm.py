"""From the POST of a broken event to the incident at whoever follows `/incidents/stream`.

    python -m benchmarks.live.alarm [--models N] [--rate R]

API, worker and a private Redis are processes; a client follows the incidents of all models. Each
has had a pane of good events. Then the feed of one after the other breaks: after some more good
events of 18 numeric features one of them is missing in all that follow, each of which is a POST of
its own, R a second. The pane need not close for that: an online test tells of it at an event, which
judging makes an incident.

No single missing value is an incident, since some may well be missing: it takes some events until
chance is excluded. The event that decided is the one at which the test raised its alarm, as the
worker wrote it down. `from the deciding POST` is the time from before this event's request was
sent until the client had the incident, of all models; that is what the way costs: API, Redis,
counting, judging, and back. `from the first broken POST` has the events in it that the test needed,
at this rate. The parts of the way are told by the clocks of Redis and this process, which are those
of one machine: until the event was in the log, until judging wrote the incident, and until the
client had it.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import click
import httpx
import msgspec
import numpy as np

from benchmarks.results import ResultRow, write
from benchmarks.scale.fleet import START_S, Fleet, fleet, names_of, small
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.events import PREDICTION
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import Alarm

FEATURES: Final = 18
NAMES: Final = names_of(FEATURES)
BEFORE: Final = 300
"""Events of each model before: they fill a pane."""
GOOD: Final = 100
"""Good events of each model that follow one by one."""
MOST: Final = 400
"""Broken events after which an incident is missing."""
PATIENCE_S: Final = 10.0
LOOK_S: Final = 0.5
QUIET_S: Final = 60.0
"""Longest silence of a stream (s), which tells every 15 s that it is alive."""
GOAL_MS: Final = 100.0


@dataclass
class Feed:
    """What was sent of one model, and when (s, of this machine's clock): each event before its
    request was sent; and when its incident came.
    """

    model: str
    sent: list[float] = field(default_factory=list)
    broken: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)
    told: float = 0.0


def drawn(random: np.random.Generator, model: str) -> dict[str, Any]:
    """Draw a good event."""
    values = random.normal(size=FEATURES).tolist()
    features = dict(zip(NAMES, values, strict=True))
    return {"features": features, "prediction": values[0], "model": model}


def wait_until_judged(found: Fleet) -> None:
    """Wait until a pane of each model is judged."""
    begun = time.monotonic()
    while not all(found.client.exists(Keys().brief(model)) for model in found.models):
        assert time.monotonic() - begun < START_S, "panes were not judged"
        time.sleep(LOOK_S)


@asynccontextmanager
async def followed(found: Fleet, feeds: dict[str, Feed]) -> AsyncIterator[None]:
    """Follow the incidents of all models, and note when the first of each comes."""
    following = asyncio.Event()

    async def follow() -> None:
        async with (
            httpx.AsyncClient(base_url=found.url, trust_env=False, timeout=QUIET_S) as http,
            http.stream("GET", "/incidents/stream") as answer,
        ):
            async for line in answer.aiter_lines():
                if line.startswith(": following"):
                    following.set()
                elif line.startswith("data: "):
                    now = time.time()
                    model = msgspec.json.decode(line.removeprefix("data: "))["data"]["model"]
                    if not feeds[model].came.is_set():
                        feeds[model].told = now
                        feeds[model].came.set()

    task = asyncio.create_task(follow())
    try:
        await asyncio.wait_for(following.wait(), PATIENCE_S)
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def breaks(found: Fleet, rate: float) -> list[Feed]:
    """Break the feed of each model in turn, until its incident comes."""
    feeds = {model: Feed(model) for model in found.models}
    random = np.random.default_rng(0)
    async with (
        followed(found, feeds),
        httpx.AsyncClient(base_url=found.url, trust_env=False) as http,
    ):

        async def post(feed: Feed) -> None:
            event = drawn(random, feed.model)
            if len(feed.sent) >= GOOD:
                event["features"][NAMES[0]] = None
                feed.broken += 1
            feed.sent.append(time.time())
            reply = await http.post("/events", json=event)
            assert reply.is_success, reply.text

        for model in feeds:
            reply = await http.post("/events", json=[drawn(random, model) for _ in range(BEFORE)])
            assert reply.is_success, reply.text
        await asyncio.to_thread(wait_until_judged, found)
        for feed in feeds.values():
            begun = time.monotonic()
            while not feed.came.is_set() and feed.broken < MOST:
                await post(feed)
                due = begun + len(feed.sent) / rate - time.monotonic()
                await asyncio.sleep(max(0.0, due))
            await asyncio.wait_for(feed.came.wait(), PATIENCE_S)
    return list(feeds.values())


@dataclass(frozen=True)
class Way:
    """Milliseconds of the way of one incident.

    Parameters
    ----------
    first
        From the first broken POST.
    whole
        From the POST of the deciding event, which is the sum of the three others: into the log,
        through the worker, and to the client.
    """

    first: float
    whole: float
    logged: float
    judged: float
    told: float


def way_of(found: Fleet, feed: Feed) -> Way:
    """Return the times of one incident, by what the worker wrote."""
    keys = Keys().salted(found.salts[feed.model])
    panes: Any = found.client.xrange(keys.panes(feed.model, 0))
    entries = [pane.decode(fields[pane.FIELD]) for _, fields in panes]
    alarm = next(one for one in entries if isinstance(one, Alarm))
    log: Any = found.client.xrange(keys.log(feed.model, 0))
    log_id = [one for one, fields in log if fields[b"t"] == PREDICTION][alarm.total - 1]
    incidents: Any = found.client.xrange(keys.incidents(feed.model), count=1)
    sent = feed.sent[alarm.total - 1 - BEFORE]
    logged, judged = (EntryId.parse(one).ms / 1000 for one in (log_id, incidents[0][0]))
    steps = np.diff([sent, logged, judged, feed.told]) * 1000
    return Way(
        1000 * (feed.told - feed.sent[GOOD]),
        1000 * (feed.told - sent),
        *(float(one) for one in steps),
    )


def rows(ways: list[Way]) -> list[ResultRow]:
    """Return median and quantiles of each part."""
    parts = {
        "from the deciding POST": [way.whole for way in ways],
        "of it: POST to log": [way.logged for way in ways],
        "of it: log to incident": [way.judged for way in ways],
        "of it: incident to client": [way.told for way in ways],
        "from the first broken POST": [way.first for way in ways],
    }
    return [
        {
            "time": name,
            "incidents": len(values),
            **{
                f"p{share} ms": round(float(np.percentile(values, share)), 1)
                for share in (50, 90, 99)
            },
            "most ms": round(max(values), 1),
            "goal p99 ms": GOAL_MS if name == "from the deciding POST" else "",
        }
        for name, values in parts.items()
    ]


SMOKE = ("--models", "3")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--models", default=200, show_default=True, help="Feeds that break.")
@click.option("--rate", default=100.0, show_default=True, help="Events a second.")
def main(models: int, rate: float) -> None:
    """Measure, print a table, write benchmarks/results/alarm.json."""
    with fleet(small(models, 1, FEATURES)) as found:
        feeds = asyncio.run(breaks(found, rate))
        ways = [way_of(found, feed) for feed in feeds]
    busy = f"load of the machine {os.getloadavg()[0]:.1f}"
    write(
        "alarm",
        f"{models} feeds of {FEATURES} features, {rate:g} events a second; {busy}",
        rows(ways),
    )


if __name__ == "__main__":
    main()
