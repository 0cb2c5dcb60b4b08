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
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click
import httpx
import joblib
import numpy as np
import pandas as pd
from fastapi.routing import iter_route_contexts
from sklearn.linear_model import LinearRegression, LogisticRegression

from benchmarks import lag
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
FORMS: Final = (
    "application/json",
    "text/csv",
    "application/x-ndjson",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "",
    "a" * 200,
)
ODD: Final[Sequence[str]] = (
    "", " ", "0", "-1", "1e999", "NaN", "null", "true", "[]", "../../etc/passwd", "%00", "\x00",
    "\u202e", "\U0001f600", "é", "a" * 5000, "1.0.0", "linear", "classes", "kind", "<script>",
    "'\"`;--", "9" * 400, "2025-11-20T20:15:00Z", "0-0", "99999999999999999999-1", "=1+1", "${7*7}",
    "{{7*7}}", "latest", "all", ".", "..", "//", "\\", "\r\nX: y", "0" * 16, "csv", "json", "html",
)  # fmt: skip
HEADERS: Final = (
    "accept", "accept-language", "prefer", "last-event-id", "if-none-match", "range", "origin",
    "sec-fetch-site", "x-request-id", "x-forwarded-for", "x-forwarded-prefix", "hx-request",
    "hx-target", "hx-current-url", "cookie", "content-encoding", "if-match", "expect", "te",
)  # fmt: skip
SAMPLES: Final[Sequence[Any]] = (
    {"features": {"x": 1.5, "y": 2}},
    {"features": {"x": 1.5, "y": 2}, "model": "linear", "version": "1.0.0", "id": "a"},
    [{"features": {"x": 1, "y": 2}, "prediction": 3.5, "model": "linear"}],
    [{"features": {"x": 1, "y": 2}, "prediction": "up", "model": "classes", "time": 1}],
    {"prediction_id": "a", "label": 1.5, "model": "linear"},
    [{"prediction_id": "a", "label": "up", "model": "classes"}] * 3,
    {"model": "linear", "rows": [{"x": 1, "y": 2}, {"x": "a"}]},
    {"version": "1.0.0", "reason": "r", "to": "staging", "force": True},
    {"action": "silence", "until": "2h", "reason": "r", "features": ["x"]},
)
FITTING: Final = {
    "/predict": SAMPLES[:2],
    "/events": SAMPLES[2:4],
    "/labels": SAMPLES[4:6],
    "/predict_batch": SAMPLES[6:7],
}
"""Bodies that a route takes."""
TABLES: Final = (
    b"x,y\n1,2\n3,4\n",
    b"prediction_id,label\na,1.5\n\nb,2\n",
    b'{"x": 1, "y": 2}\n{"x": NaN}\n',
    b"key=dg_a_b&next=/",
    b"PAR1" + bytes(64) + b"PAR1",
    b"\xff\xff\xff\xff" + bytes(64),
    b"\x1f\x8b" + bytes(64),
)


@dataclass(frozen=True)
class Route:
    """A route of the app: its path with places for parameters, its methods, and who may use it."""

    path: str
    methods: tuple[str, ...]
    needed: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    documented: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The media types of each status of its description; none if it is not described, as pages are
    not.
    """


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


class Fuzzer:
    """Draws requests for the routes of an app.

    Parameters
    ----------
    routes
        What the app has.
    keys
        A key for each scope.
    seed
        Repeats a run.
    """

    def __init__(self, routes: Sequence[Route], keys: dict[str, str], seed: int) -> None:
        self.routes = routes
        self._keys = keys
        self._random = random.Random(seed)

    def draw(self, route: Route | None = None) -> tuple[Route, str | None, dict[str, Any]]:
        """Draw a request: its route, the scope of its key (None without one), and what httpx
        needs.
        """
        route = route or self._random.choice(self.routes)
        method = self._random.choice(route.methods)
        if self._random.random() < 0.03:
            method = self._random.choice(("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"))
        scope = self._random.choice((*self._keys, "admin", "admin", None))
        headers = {name: _header(self._odd()) for name in self._some(HEADERS, 0.1)}
        if scope is not None:
            headers["authorization"] = f"Bearer {self._keys[scope]}"
        elif self._random.random() < 0.3:
            headers["authorization"] = f"Bearer {_header(self._odd())}"
        request: dict[str, Any] = {
            "method": method,
            "url": self._path(route),
            "params": {name: self._odd() for name in self._some(route.parameters, 0.5)},
        }
        if method in {"POST", "PUT", "PATCH"}:
            request["content"], headers["content-type"] = self._body(route)
        return route, scope, {**request, "headers": headers}

    def plain(self, route: Route, path: str) -> dict[str, Any]:
        """Make an ordinary request of a route by who may do everything."""
        headers = {"authorization": f"Bearer {self._keys['admin']}"}
        return {"method": route.methods[0], "url": path, "headers": headers}

    def _path(self, route: Route) -> str:
        parts = []
        for part in route.path.split("/"):
            odd = quote(self._odd(), safe="").lstrip(".") or "a"  # a client resolves `..` itself
            parts.append(odd if part.startswith("{") else part)
        return "/".join(parts)

    def _body(self, route: Route) -> tuple[bytes, str]:
        if route.path in FITTING and self._random.random() < 0.4:
            sample = self._random.choice(FITTING[route.path])
            whole = self._random.random() < 0.5
            found = sample if whole else self._mutated(sample, 0)
            return json.dumps(found).encode("utf-8", "replace"), FORMS[0]
        form = self._random.choice((*FORMS[:3], *FORMS))
        kind = self._random.random()
        if kind < 0.5:
            text = json.dumps(self._mutated(self._random.choice(SAMPLES), 0)).encode(
                "utf-8", "replace"
            )
        elif kind < 0.75:
            text = self._random.choice(TABLES)
        elif kind < 0.85:
            text = self._random.randbytes(self._random.choice((0, 1, 100, 10_000)))
        else:
            text = self._large()
        if self._random.random() < 0.3:
            text = self._damaged(text)
        return text, form

    def _large(self) -> bytes:
        """Draw a body of up to 2 MB that repeats something."""
        piece = self._random.choice(
            (b"[", b"[],", b"{", b'{"a":', b'"', b" ", b"\n", b"1,", b"a,", b"\\u0000", b"\xff",
             b'{"x":1,"y":2},', b'"a":1,', b"9", b"x,y\n", b",\n", b'""', b"NaN,")
        )  # fmt: skip
        head = self._random.choice((b"", b"[", b'{"rows":[', b'{"features":{', b"x,y\n", b"label,"))
        tail = self._random.choice((b"", b"]", b"}", b"}}", b"]}"))
        return head + piece * self._random.choice((100, 5000, 2_000_000 // len(piece))) + tail

    def _damaged(self, text: bytes) -> bytes:
        place = self._random.randrange(len(text) + 1)
        extra = self._random.choice(
            (b"", b"\x00", b"\xff", b"\xed\xa0\x80", b'"', b",", b"]", b"}")
        )
        return text[:place] + extra + text[place + self._random.choice((0, 1, 7)) :]

    def _mutated(self, value: Any, depth: int) -> Any:
        if self._random.random() < 0.12:
            return self._value(depth)
        if isinstance(value, dict):
            found = {name: self._mutated(one, depth + 1) for name, one in value.items()}
            if self._random.random() < 0.1:
                found[self._odd()] = self._value(depth)
            if found and self._random.random() < 0.1:
                found.pop(self._random.choice([*found]))
            return found
        if isinstance(value, list):
            times = self._random.choice((1, 1, 1, 0, 30, 1500))
            return [self._mutated(one, depth + 1) for one in value] * times
        return value

    def _value(self, depth: int) -> Any:
        kind = self._random.randrange(9)
        if kind == 0 and depth < 5:
            return [self._value(depth + 1) for _ in range(3)]
        if kind == 1 and depth < 5:
            return {self._odd(): self._value(depth + 1) for _ in range(3)}
        numbers = (0, -1, 2**63, 10**400, 1e308, float("nan"), float("inf"), 0.1, -0.0)
        return self._random.choice(
            (self._odd(), *numbers, True, None, "\ud800", "2025-11-20T20:15", [], {})
        )

    def _odd(self) -> str:
        return self._random.choice(ODD)

    def _some(self, names: Sequence[str], share: float) -> list[str]:
        return [name for name in names if self._random.random() < share]


def _known(part: str) -> str:
    """Return something to ask for in the place of a parameter of a path."""
    places = {"{model}": "linear", "{version}": "1.0.0"}
    return places.get(part, "0" * 16) if part.startswith("{") else part


def _header(text: str) -> str:
    """Make text that a header can carry."""
    kept = "".join(letter for letter in text if " " <= letter <= "~")
    return kept.strip()[:2000] or "a"


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
