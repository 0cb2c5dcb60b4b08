"""The cost of tracing, in CPU time of a prediction and of a counted event: as it is without the
`OTEL_…` variables, beside the same code without its hooks, and with every trace or one in a hundred
kept.

    python -m benchmarks.tracing [--pairs N]

The yardstick is our own code from which the steps are taken out by its syntax tree, so it is what
would run if tracing had never been written. Each way runs in turn with the yardstick, many short
blocks of each; the ratio is the median of the pairs' ratios, with the quartiles beside it. Spans
are batched and encoded as for a collector, and then thrown away.
"""

import ast
import asyncio
import gc
import inspect
import statistics
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import click
import msgspec
import numpy as np
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from benchmarks.results import ResultRow, write
from driftgauge.consumer.counting import group
from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.models.common.training import register
from driftgauge.models.steel.train import MODEL, train
from driftgauge.producer.app import create_app
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.producer.routes import predict
from driftgauge.producer.scoring.scorer import Scorer
from driftgauge.shared.contract.events import Prediction, encode
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.otel.sdk import Tracing
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings, read_settings

SMOKE = ("--pairs", "1")
"""Arguments of the smallest run, which CI starts."""
CALLERS: Final = 16
REQUESTS: Final = 320
"""Requests of a block."""
EVENTS: Final = 4000
"""Events of a block."""
FEATURES: Final = 18


class Nowhere(SpanExporter):
    """Encodes spans as for a collector, and sends them nowhere."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


class Telemetry:
    """What the app gets in the place of the real one."""

    def __init__(self, share: float) -> None:
        self._provider = TracerProvider(TraceIdRatioBased(share), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(Nowhere()))
        self.tracing = Tracing(self._provider.get_tracer("benchmark"))

    def push(self, collect: object) -> None:
        """Send no metrics: they cost the same however many predictions there are."""

    def close(self) -> None:
        self._provider.shutdown()


def without_steps(function: Any) -> Any:
    """Return a function without its steps: `with step(…):` is replaced by its body."""

    class Unwrap(ast.NodeTransformer):
        def visit_With(self, node: ast.With) -> Any:
            self.generic_visit(node)
            (item,) = node.items
            if not ast.unparse(item.context_expr).startswith("step("):
                return node
            none = [] if item.optional_vars is None else ast.parse("span = None").body
            return [*none, *node.body]

    tree = Unwrap().visit(ast.parse(textwrap.dedent(inspect.getsource(function))))
    made: dict[str, Any] = {}
    exec(  # noqa: S102  our own source
        compile(ast.fix_missing_locations(tree), "<without steps>", "exec"),
        function.__globals__,
        made,
    )
    return made[function.__name__]


@contextmanager
def unhooked() -> Iterator[None]:
    """Take the hooks of tracing out of what a prediction passes."""
    with (
        patch.object(Scorer, "score", without_steps(Scorer.score)),
        patch.object(Publisher, "_publish", without_steps(Publisher._publish)),  # noqa: SLF001
        patch.object(predict, "carried_now", lambda: None),
    ):
        yield


def compared(name: str, what: str, ratios: Sequence[float], base_us: float) -> ResultRow:
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return {
        "of": name,
        "way": what,
        "CPU µs": round(base_us * middle, 1),
        "of without": round(middle, 4),
        "quartiles": f"{low:.3f} to {high:.3f}",
    }


# -- predictions -----------------------------------------------------------------------------------


async def ask(app: Any, body: bytes) -> None:
    """Send a request to the app as the server would."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    answered = False

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        nonlocal answered
        if message["type"] == "http.response.start":
            assert message["status"] == 200, message
            answered = True

    await app(scope, receive, send)
    assert answered


async def block(app: Any, bodies: Sequence[bytes]) -> float:
    """Return the CPU time (µs) of a request, of some callers at once."""

    async def call(first: int) -> None:
        for place in range(first, REQUESTS, CALLERS):
            await ask(app, bodies[place % len(bodies)])

    started = time.process_time()
    await asyncio.gather(*(call(first) for first in range(CALLERS)))
    return (time.process_time() - started) / REQUESTS * 1e6


async def predictions(folder: Path, url: str, pairs: int) -> list[ResultRow]:
    """Compare the ways of a prediction with that of an unhooked app."""
    trained = train(None)
    register(MODEL.patient, trained, ModelRegistry(folder / "registry"), version="1.0.0")
    rows = trained.holdout.head(256).to_dict("records")
    bodies = [msgspec.json.encode({"features": row}) for row in rows]
    settings = read_settings(
        redis_url=url,
        registry_dir=folder / "registry",
        data_dir=folder,
        access_log=False,
        ack_timeout_ms=5000,
    )
    found = []
    for what, share in (("off", None), ("1 % kept", 0.01), ("all kept", 1.0)):
        base, other = await _ratios(settings, share, bodies, pairs)
        ratios = [one / two for one, two in zip(other, base, strict=True)]
        found.append(compared("/predict", what, ratios, statistics.median(base)))
    return found


async def _ratios(
    settings: Settings, share: float | None, bodies: Sequence[bytes], pairs: int
) -> tuple[list[float], list[float]]:
    plain = create_app(settings)
    telemetry: Any = None if share is None else Telemetry(share)
    hooked = plain if telemetry is None else create_app(settings, telemetry)
    base: list[float] = []
    other: list[float] = []
    async with plain.router.lifespan_context(plain):
        if hooked is plain:
            await _in_turn(plain, hooked, bodies, pairs, base, other)
        else:
            async with hooked.router.lifespan_context(hooked):
                await _in_turn(plain, hooked, bodies, pairs, base, other)
    return base, other


async def _in_turn(
    plain: Any,
    hooked: Any,
    bodies: Sequence[bytes],
    pairs: int,
    base: list[float],
    other: list[float],
) -> None:
    for app in (plain, hooked):  # a warm-up
        await block(app, bodies)
    for number in range(pairs):
        for which in (0, 1) if number % 2 else (1, 0):
            if which:
                other.append(await block(hooked, bodies))
            else:
                with unhooked():
                    base.append(await block(plain, bodies))


# -- counted events --------------------------------------------------------------------------------


FIELDS: Final = [one for one in msgspec.structs.fields(Prediction) if one.name != "trace"]
Former: Final = msgspec.defstruct(
    "Former",
    [(one.name, one.type) if one.required else (one.name, one.type, one.default) for one in FIELDS],
    gc=False,
    frozen=True,
    omit_defaults=True,
)
"""A prediction in the log as it was before it could carry a trace."""


class Counting:
    """Counting of a log without online detectors, whose share would hide the rest."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        schema = Schema(tuple(Feature(f"n{place}", "numeric") for place in range(FEATURES)))
        profile = build_profile(
            schema, list(random.normal(size=(FEATURES, 20_000))), random.normal(size=20_000)
        )
        self.cells = CellMap(schema, profile)
        self.decoder = self.cells.decoder
        with patch.object(columns, "Prediction", Former):
            self.former = columns.CheckedDecoder(schema)
        self.policy = CountingPolicy(detectors=())
        values = random.normal(size=(EVENTS, FEATURES)).round(4).tolist()
        self.logs = {
            "off": [_entry(place, row, None) for place, row in enumerate(values, 1)],
            "all traced": [
                _entry(place, row, f"{place:032x}-{place:016x}")
                for place, row in enumerate(values, 1)
            ],
        }

    def block(self, log: str, decoder: columns.CheckedDecoder) -> float:
        """Return the CPU time (µs) of an event, from its raw entry to its pane."""
        state, entries = CountingState(), self.logs[log]
        started = time.process_time()
        for first in range(0, EVENTS, 1000):
            batch = columns.read(entries[first : first + 1000], decoder)
            advance(state, batch, {"1.0.0": self.cells}, self.policy)
        assert state.counters.events == EVENTS
        return (time.process_time() - started) / EVENTS * 1e6

    def without(self) -> float:
        """Return that of an event by the code without traces."""
        with patch.object(group, "_traces", lambda _: None):
            return self.block("off", self.former)


def _entry(place: int, row: list[float], trace: str | None) -> columns.Entry:
    ms = 1_763_640_000_000 + 10 * place
    event = Prediction(new_id(), "1.0.0", ms, [*row], 0.5, 2.1, trace=trace)
    fields = [b"t", b"p", b"p", b"api", b"s", b"%d" % place, b"e", encode(event)]
    return b"%d-0" % ms, fields


def counted(pairs: int) -> list[ResultRow]:
    """Compare the ways of an event through counting with that of the code without traces."""
    counting, found = Counting(), []
    for log in counting.logs:
        run = partial(counting.block, log, counting.decoder)
        ways: dict[str, Callable[[], float]] = {"base": counting.without, "other": run}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(-1, pairs):
            for name in sorted(ways, reverse=bool(number % 2)):
                took = ways[name]()
                if number >= 0:  # the first is a warm-up
                    times[name].append(took)
        ratios = [one / two for one, two in zip(times["other"], times["base"], strict=True)]
        found.append(compared("counting", log, ratios, statistics.median(times["base"])))
    return found


@click.command()
@click.option("--pairs", default=40, show_default=True, help="Blocks of each way.")
def main(pairs: int) -> None:
    """Measure, print a table, write benchmarks/results/tracing.json."""
    gc.disable()
    rows = counted(pairs)
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder) / "redis") as server:
        rows += asyncio.run(predictions(Path(folder), server.url, pairs))
    write("tracing", f"median of {pairs} pairs of blocks", rows)


if __name__ == "__main__":
    main()
