"""Fuzzing of the API: every route with every scope gets requests that nobody would send.

    python -m benchmarks.fuzzing --minutes 60

The app runs in this process, with a private Redis and two models. Requests are drawn from the
app's own description (openapi.json), so a new route is fuzzed as soon as it exists: its parameters,
bodies and headers with values that are odd, long, nested, hostile, or nearly right. Each answer has
to keep the API's promises:

- no status of 500 or above but a documented one: 501, 503, 507;
- no status that the route's description does not name;
- an error is a problem document, or a page for a browser, never bare text;
- a request without the scope that its route needs is refused;
- no turn of the event loop computes for more than 50 ms (benchmarks/lag.py).

A run is repeated by its seed.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
import httpx
import joblib
import numpy as np
import pandas as pd
from fastapi.routing import iter_route_contexts
from sklearn.linear_model import LinearRegression, LogisticRegression

from benchmarks import lag
from benchmarks.odd_requests import Fuzzer, Route
from benchmarks.results import write
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.producer.access.control import Guarded
from driftgauge.producer.app import create_app
from driftgauge.shared.access.key_file import SCOPES, create_key
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings, read_settings

ROWS: Final = 1200
ENDLESS: Final = frozenset({"/alerts/stream", "/incidents/stream", "/dashboard/events"})
"""Routes whose answer goes on for ever to those who may read it."""
ENDLESS_S: Final = 0.2
ALLOWED: Final = frozenset({501, 503, 507})
ELSEWHERE: Final = frozenset({303, 307})
"""Statuses that lead to the login, and to the path without a slash at its end."""


@dataclass
class Found:
    """What a run found.

    Attributes
    ----------
    faults
        A sentence for each broken promise, with the request that broke it.
    statuses
        Answers by status.
    """

    requests: int = 0
    faults: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    longest_s: float = 0.0


def _known(part: str) -> str:
    """Return something to ask for in the place of a parameter of a path."""
    places = {"{model}": "linear", "{version}": "1.0.0"}
    return places.get(part, "0" * 16) if part.startswith("{") else part


def routes_of(app: Any) -> list[Route]:
    """Find the routes of an app, and the parameters of its description."""
    described = app.openapi()["paths"]
    found = []
    for route in (context.original_route for context in iter_route_contexts(app.routes)):
        assert isinstance(route, Guarded)  # another has no scope: the app would not start
        operations = described.get(route.path, {}).values()
        parameters = {
            one["name"] for operation in operations for one in operation.get("parameters", ())
        }
        documented: dict[str, frozenset[str]] = {}
        for operation in operations:
            for status, answer in operation["responses"].items():
                media = frozenset(answer.get("content", ()))
                documented[status] = documented.get(status, frozenset()) | media
        found.append(
            Route(
                route.path,
                tuple(sorted(route.methods or ())),
                route.needed,
                tuple(sorted(parameters)),
                documented,
            )
        )
    return found


async def send(http: httpx.AsyncClient, request: dict[str, Any], seconds: float) -> Any:
    """Send a request; None if its answer goes on after some seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await http.request(**request)
    except TimeoutError:
        return None


def fault_of(route: Route, scope: str | None, answer: httpx.Response) -> str:
    """Say which promise an answer breaks; empty if none."""
    kind = answer.headers.get("content-type", "")
    status = answer.status_code
    if status >= 500 and status not in ALLOWED:
        return f"status {status}"
    named = str(status) in route.documented
    told = kind.startswith(("application/problem+json", "text/html")) or (
        named and kind.startswith("application/json")
    )
    if status >= 400 and not told and answer.request.method != "HEAD":
        return f"status {status} as {kind or 'nothing'}"
    named = named or status in ELSEWHERE or (status >= 400 and "default" in route.documented)
    if route.documented and not named and answer.request.method in route.methods:
        return f"status {status}, which its description does not name"
    media = kind.partition(";")[0]
    if status < 300 and media not in (route.documented.get(str(status)) or {media}):
        return f"status {status} as {media}, which its description does not name"
    allowed = not route.needed or scope == "admin" or scope in route.needed
    if status < 300 and not allowed and answer.request.method in route.methods:
        return f"status {status} without the scope {route.needed}"
    return ""


async def fuzz(app: Any, keys: dict[str, str], seed: int, seconds: float) -> Found:
    """Send requests for some seconds, each route at least once."""
    fuzzer, found = Fuzzer(routes_of(app), keys, seed), Found()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", follow_redirects=False
    ) as http:
        for route in fuzzer.routes:  # what is imported and compiled at first use is no lag
            if route.path not in ENDLESS:
                for path in (route.path, "/".join(map(_known, route.path.split("/")))):
                    await send(http, fuzzer.plain(route, path), 30)
        with lag.watched() as watched:
            ends = time.monotonic() + seconds
            waiting = list(fuzzer.routes)
            while time.monotonic() < ends or waiting:
                route, scope, request = fuzzer.draw(waiting.pop() if waiting else None)
                await lag.next_turn()  # the drawing is no part of the request's turns
                watched.longest_s = 0.0
                patience = ENDLESS_S if route.path in ENDLESS else 60
                answer = await send(http, request, patience)
                await lag.next_turn()
                found.requests += 1
                found.longest_s = max(found.longest_s, watched.longest_s)
                said = ""
                if answer is not None:
                    found.statuses[answer.status_code] += 1
                    said = fault_of(route, scope, answer)
                elif route.path not in ENDLESS:
                    said = "no answer within 60 s"
                if watched.longest_s > lag.MOST_CPU_S:
                    said = said or f"{watched.longest_s:.3f} s of CPU on the event loop"
                if said:
                    found.faults.append(f"{said}: {_shown(scope, request)}")
    return found


def _shown(scope: str | None, request: dict[str, Any]) -> str:
    content = request.get("content", b"")
    body = f"{content[:150]!r} … ({len(content)} bytes)" if len(content) > 150 else repr(content)
    rest = {name: value for name, value in request.items() if name != "content"}
    headers = {name: value for name, value in rest["headers"].items() if name != "authorization"}
    return f"{scope}: {rest | {'headers': headers}} {body}"[:1500]


def register_models(folder: Path) -> None:
    """Register two models with labels in a registry folder, and put them into production."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(ROWS, 2)), columns=["x", "y"])
    frame["z"] = 2 * frame["x"] + frame["y"]
    frame["kind"] = np.where(frame["z"] > 0, "up", "down")
    registry = ModelRegistry(folder / "registry")
    estimators = {"linear": (LinearRegression(), "z"), "classes": (LogisticRegression(), "kind")}
    for name, (estimator, target) in estimators.items():
        artifact, rows = folder / f"{name}.joblib", folder / f"{name}.csv"
        joblib.dump(estimator.fit(frame[["x", "y"]], frame[target]), artifact)
        frame[["x", "y", target]].to_csv(rows, index=False)
        given = Submission(name, rows, artifact=artifact, target_column=target, labels=True)
        _, published = register_version(registry, given)
        registry.promote(name, published.manifest.version, actor="fuzzing")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Any]:
    """Run the app until the end of the context."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


async def run(folder: Path, redis_url: str, prefix: str, seed: int, seconds: float) -> Found:
    """Fuzz an app of its own, with a key for each scope."""
    register_models(folder)
    settings = read_settings(
        redis_url=redis_url,
        key_prefix=prefix,
        registry_dir=folder / "registry",
        data_dir=folder / "data",
        reports_dir=folder / "reports",
        requests_per_second=0,
        access_log=False,
    )
    (folder / "data").mkdir()
    keys: dict[str, str] = {
        scope: create_key(settings.keys_path, scope, (scope,), None) for scope in SCOPES
    }
    async with running(settings) as app:
        return await fuzz(app, keys, seed, seconds)


SMOKE = ("--minutes", "0.05")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=1, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def main(minutes: float, seed: int) -> None:
    """Fuzz the API, print what it answered, write benchmarks/results/fuzzing.json; the exit code is
    1 if a promise was broken.
    """
    with tempfile.TemporaryDirectory() as name, EmbeddedRedis(Path(name) / "redis") as server:
        found = asyncio.run(run(Path(name), server.url, "fuzz", seed, minutes * 60))
    answered = ", ".join(f"{count:,} {status}" for status, count in sorted(found.statuses.items()))
    row = {
        "requests": found.requests,
        "broken promises": len(found.faults),
        "longest turn ms": round(found.longest_s * 1000),
        "answers": answered,
    }
    write("fuzzing", f"{minutes:g} minutes, seed {seed}", [row])
    for fault in found.faults[:50]:
        click.echo(fault)
    if found.faults:
        raise SystemExit(f"{len(found.faults)} promises were broken (seed {seed}).")


if __name__ == "__main__":
    main()
