"""POST /events in lists: what an event costs the API, beside a bare loop on the same bodies.

    python -m benchmarks.live.intake [--seconds S]

An API and a private Redis, each a process of its own, take lists of 500 events of 18 numeric
features from a few connections, as they are, compressed, and one a line. The rate of a process is
what a core of it takes: events by the seconds of a processor that Linux tells of the process, so
that the load and other programs beside it do not matter. The bare loop does what no API can leave
out: it decodes a body into columns' values, encodes each event, packs and sends the XADDs in groups
of 1,000 to the same Redis, and reads their replies. It checks nothing, keeps nothing to send again,
and has no HTTP.
"""

import asyncio
import gzip
import os
import time
from collections.abc import Callable
from typing import Any, Final

import click
import hiredis
import httpx
import msgspec
import numpy as np

from benchmarks.results import ResultRow, write
from benchmarks.scale.fleet import VERSION, Fleet, Usage, fleet, names_of, small
from driftgauge.shared.contract.events import Prediction, encode
from driftgauge.shared.contract.keys import Keys

LIST: Final = 500
FEATURES: Final = 18
NAMES: Final = names_of(FEATURES)
BODIES: Final = 20
"""Different bodies, which are sent in turn."""
CONNECTIONS: Final = 4
WARM_UP_S: Final = 1.0
GOAL: Final = 100_000
TRIMMED: Final = 200_000
"""Entries of the log that are kept between two forms, so that Redis stays small."""
Body = tuple[bytes, dict[str, str]]


def events(names: list[str], seed: int) -> list[dict[str, Any]]:
    """Draw a list of events."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(LIST, len(names))).round(6).tolist()
    return [{"features": dict(zip(names, row, strict=True)), "prediction": row[0]} for row in rows]


def plain(found: list[dict[str, Any]]) -> Body:
    return msgspec.json.encode(found), {"Content-Type": "application/json"}


def packed(found: list[dict[str, Any]]) -> Body:
    body, headers = plain(found)
    return gzip.compress(body), {**headers, "Content-Encoding": "gzip"}


def lines(found: list[dict[str, Any]]) -> Body:
    body = b"\n".join(msgspec.json.encode(one) for one in found)
    return body, {"Content-Type": "application/x-ndjson"}


FORMS: Final[dict[str, Callable[[list[dict[str, Any]]], Body]]] = {
    "a list": plain,
    "a list, gzip": packed,
    "lines": lines,
}


async def load(found: Fleet, bodies: list[Body], seconds: float) -> tuple[int, float]:
    """Post for a while; return how many events were taken, and the seconds of a processor that the
    API used until all of them were in the log.
    """
    log = _log(found)
    async with httpx.AsyncClient(base_url=found.url, trust_env=False, timeout=60) as http:

        async def post(first: int, until: float) -> int:
            taken, number = 0, first
            while time.monotonic() < until:
                body, headers = bodies[number % len(bodies)]
                answer = await http.post("/events", content=body, headers=headers)
                assert answer.status_code == 202, answer.text
                taken += LIST
                number += CONNECTIONS
            return taken

        async def posted(seconds: float) -> int:
            before, until = entries_added(found, log), time.monotonic() + seconds
            taken = sum(await asyncio.gather(*(post(one, until) for one in range(CONNECTIONS))))
            async with asyncio.timeout(60):
                while entries_added(found, log) < before + taken:  # noqa: ASYNC110  Redis sets none
                    await asyncio.sleep(0.02)
            return taken

        await posted(WARM_UP_S)
        before = Usage.of(found.pids["API"])
        taken = await posted(seconds)
        return taken, Usage.of(found.pids["API"]).cpu_s - before.cpu_s


def entries_added(found: Fleet, log: str) -> int:
    """Return how many entries the log ever had."""
    facts: Any = found.client.xinfo_stream(log) if found.client.exists(log) else {}
    return int(facts.get("entries-added", 0))


def _log(found: Fleet) -> str:
    return Keys().salted(found.salts[found.models[0]]).log(found.models[0], 0)


def bare(found: Fleet, bodies: list[Body], seconds: float) -> tuple[int, float]:
    """Do what cannot be left out, in this process; return events, and seconds of a processor."""
    import socket

    log = Keys().log("bare", 0).encode()
    decoder = msgspec.json.Decoder(list[_typed(NAMES)])  # type: ignore[misc]  # made at run time
    reader, done = hiredis.Reader(), 0
    address = found.client.connection_pool.connection_kwargs
    if "path" in address:
        link = socket.socket(socket.AF_UNIX)
        link.connect(address["path"])
    else:
        link = socket.create_connection((address["host"], address["port"]))
    begun, used = time.monotonic(), time.process_time()
    with link:
        while time.monotonic() - begun < seconds:
            group: list[bytes] = []
            for place in (0, 1):
                for one in decoder.decode(bodies[(done // LIST + place) % len(bodies)][0]):
                    event = Prediction(
                        str(done), VERSION, 0, list(msgspec.structs.astuple(one.features)),
                        one.prediction,
                    )  # fmt: skip
                    fields = (b"t", b"p", b"p", b"bare", b"s", done, b"e", encode(event))
                    group.append(hiredis.pack_command((b"XADD", log, b"*", *fields)))  # type: ignore[arg-type]  # its stub names a tuple of one
                    done += 1
            link.sendall(b"".join(group))
            unread = len(group)
            while unread:
                reader.feed(link.recv(1 << 16))
                while reader.gets() is not False:
                    unread -= 1
    return done, time.process_time() - used


def _typed(names: list[str]) -> type[msgspec.Struct]:
    features = msgspec.defstruct("Features", [(name, float) for name in names])
    return msgspec.defstruct("Event", [("features", features), ("prediction", float)])


def measured(found: Fleet, seconds: float) -> list[ResultRow]:
    """Measure each form, and the bare loop."""
    lists = [events(NAMES, seed) for seed in range(BODIES)]
    figures = {"bare": bare(found, [plain(one) for one in lists], seconds)}
    for form, make in FORMS.items():
        bodies = [make(one) for one in lists]
        figures[form] = asyncio.run(load(found, bodies, seconds))
        found.client.xtrim(_log(found), maxlen=TRIMMED)
    least = figures["bare"][1] / figures["bare"][0]
    return [
        {
            "form": form,
            "events": done,
            "events/CPU s": round(done / used),
            "µs an event": round(1e6 * used / done, 2),
            "of bare": round(least / (used / done), 3),
            "goal": GOAL if form in FORMS else "",
        }
        for form, (done, used) in figures.items()
    ]


SMOKE = ("--seconds", "0.5")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="Time for each form.")
def main(seconds: float) -> None:
    """Measure, print a table, write benchmarks/results/intake.json."""
    with fleet(small(1, 1, FEATURES), programs=("API",)) as found:
        rows = measured(found, seconds)
    busy = f"load of the machine {os.getloadavg()[0]:.1f}"
    write("intake", f"lists of {LIST} events, {FEATURES} features; {busy}", rows)


if __name__ == "__main__":
    main()
