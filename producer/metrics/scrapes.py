"""Reads what a scrape shows, at most once a second for all scrapers of this process together.

The state of the models is read in a few round trips for some of them at a time, and nothing is
computed that a worker could have written. The text is made in a thread, since that of a thousand
models takes some tenths of a second, for which predictions must not wait.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, thread_time
from typing import Any, Final

import msgspec
import redis

from driftgauge.producer.metrics.pipeline import add_incidents, add_model, add_route
from driftgauge.producer.metrics.process import of_process
from driftgauge.producer.metrics.table import PIPELINE, WINDOWS
from driftgauge.producer.metrics.windows import Judged, add_severity, add_windows
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.model_state import ModelState
from driftgauge.producer.reading.pipeline import Pipeline
from driftgauge.producer.watching.watchdog import rules_in
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import STATUS, RouteStatus
from driftgauge.shared.errors import BadData
from driftgauge.shared.metrics.figures import Figures
from driftgauge.shared.metrics.text import Exposition, Format, known, labels, whole
from driftgauge.shared.unpacking import UNREADABLE

TIMEOUT_S: Final = 8.0
"""Well below Prometheus's scrape timeout of 10 s."""
AT_ONCE: Final = 100
"""Models of one round trip: requests wait while their answers are read."""
MOST_ROUTES: Final = 1000
"""Most routes of notifications that are shown."""
FRESH_S: Final = 1.0
"""Time (s) for which what was read is told again."""
PAUSE_PER_COST: Final = 4
"""The same in multiples of what reading and writing took of the processor, if that is longer."""


class _Incident(msgspec.Struct, frozen=True):
    severity: str
    kind: str


class _Told(msgspec.Struct, frozen=True):
    data: _Incident


@dataclass(frozen=True, slots=True)
class Found:
    """The pipeline as it was read from Redis.

    Parameters
    ----------
    up
        Whether Redis answered.
    readable
        Whether its answers could be read.
    incidents
        Number of open incidents of each model, by severity and kind.
    blind
        Model, rule, and whether it fires, of each rule of the watchdog.
    routes
        Name and status of each route of notifications.
    now_ms
        Redis's clock.
    """

    up: bool
    readable: bool
    models: Sequence[ModelState] = ()
    windows: Sequence[Judged] = ()
    incidents: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)
    blind: Sequence[tuple[str, str, bool]] = ()
    routes: Sequence[tuple[str, RouteStatus]] = ()
    now_ms: int = 0


class Scrapes:
    """Answers the scrapers of one API process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pipeline = Pipeline(parts.scraper, parts.keys)
        self._reading = asyncio.Lock()
        self._text = Exposition({})
        self._until = 0.0

    async def body(self, form: Format) -> bytes:
        """Return all metrics: the process's own as of now, the pipeline's as of a moment ago."""
        async with self._reading:
            if monotonic() >= self._until:
                await self._renew()
            pipeline = self._text
        return await asyncio.to_thread(_joined, self._parts, pipeline, form)

    async def _renew(self) -> None:
        begun_s = thread_time()
        found = await self._found()
        settings = self._parts.settings
        read_s = thread_time() - begun_s
        self._text, made_s = await asyncio.to_thread(
            _made, found, settings.metrics_features, settings.metrics_segments
        )
        pause_s = max(FRESH_S, PAUSE_PER_COST * (read_s + made_s))
        self._until = monotonic() + pause_s

    async def _found(self) -> Found:
        """Read the pipeline; a failure is a metric too."""
        parts = self._parts
        try:
            async with asyncio.timeout(TIMEOUT_S):
                names = await self._pipeline.models()
                states = await self._pipeline.read(names, scraping=True)
                answers = [one async for one in _answers(parts, names)]
                now_ms, routes = await _routes(parts)
        except (*UNAVAILABLE, TimeoutError):
            return Found(up=False, readable=False)
        except (redis.RedisError, BadData):  # /health?verbose=true says why
            return Found(up=True, readable=False)
        replies_are_sound = all(isinstance(figures, list) for _, figures, *_ in answers)
        return Found(
            up=True,
            readable=replies_are_sound and not any(state.unreadable for state in states),
            models=states,
            windows=[
                Judged(model, one) for model, figures, *_ in answers for one in _figures(figures)
            ],
            incidents={model: _incidents(told) for model, _, told, _ in answers},
            blind=[
                (model, rule, fires)
                for model, *_, memory in answers
                for rule, fires in rules_in(memory if isinstance(memory, bytes) else None)
            ],
            routes=routes,
            now_ms=now_ms,
        )


async def _answers(parts: Parts, models: Sequence[str]) -> Any:
    """Yield what Redis answers for each model: its figures, open incidents and the watchdog's
    memory.
    """
    for start in range(0, len(models), AT_ONCE):
        part = models[start : start + AT_ONCE]
        pipe = parts.scraper.pipeline(transaction=False)
        for model in part:
            _ask(pipe, parts.keys, model)
        replies = await pipe.execute(raise_on_error=False)
        for place, model in enumerate(part):
            yield model, *replies[3 * place : 3 * place + 3]
        await asyncio.sleep(0)  # requests have their turn


def _ask(pipe: Any, keys: Keys, model: str) -> None:
    pipe.hvals(keys.figures(model))
    pipe.hvals(keys.open_incidents(model))
    pipe.hget(keys.watchdog(model), "memory")


async def _routes(parts: Parts) -> tuple[int, list[tuple[str, RouteStatus]]]:
    """Read Redis's clock (ms), and how the routes of notifications do; one whose status cannot be
    read is left out.
    """
    names: Any = await parts.scraper.smembers(parts.keys.routes)
    told = sorted(name.decode(errors="replace") for name in names)[:MOST_ROUTES]
    pipe = parts.scraper.pipeline(transaction=False)
    pipe.time()
    for name in told:
        pipe.hget(parts.keys.route(name), STATUS)
    (seconds, micros), *packed = await pipe.execute(raise_on_error=False)
    found = []
    for name, one in zip(told, packed, strict=True):
        with suppress(*UNREADABLE):
            found.append((name, msgspec.json.decode(one or b"{}", type=RouteStatus)))
    return seconds * 1000 + micros // 1000, found


def _figures(packed: Any) -> Iterator[Figures]:
    """Read the figures of a model's versions; what another release wrote, or a person by hand, is
    replaced at the next pane.
    """
    for one in packed if isinstance(packed, list) else ():
        try:
            yield msgspec.json.decode(one, type=Figures)
        except UNREADABLE:
            continue


def _incidents(packed: Any) -> Counter[tuple[str, str]]:
    """Count the open incidents of a model by severity and kind."""
    found: Counter[tuple[str, str]] = Counter()
    for one in packed if isinstance(packed, list) else ():
        try:
            told = msgspec.json.decode(one, type=_Told).data
        except UNREADABLE:
            continue
        found[told.severity, told.kind] += 1
    return found


def _made(found: Found, most_features: int, most_segments: int) -> tuple[Exposition, float]:
    """Write what was found; return the processor's time (s) that it took too."""
    begun_s = thread_time()
    text = exposed(found, most_features, most_segments)
    text.seal()
    return text, thread_time() - begun_s


def exposed(found: Found, most_features: int, most_segments: int) -> Exposition:
    """Return the samples of the pipeline and of the windows."""
    text = Exposition({**PIPELINE, **WINDOWS})
    text.add("driftgauge_redis_up", found.up)
    text.add("driftgauge_pipeline_readable", found.readable)
    for state in found.models:
        add_model(text, state)
    severities: dict[str, list[str]] = {}
    for window in found.windows:
        severities.setdefault(window.model, []).append(window.figures.severity)
    for model, incidents in found.incidents.items():
        add_incidents(text, model, incidents)
        open_ones = [severity for severity, _ in incidents]
        add_severity(text, model, [*severities.get(model, ()), *open_ones])
    add_windows(text, found.windows, most_features, most_segments)
    for model, rule, fires in found.blind:
        text.add("driftgauge_blind", fires, f"{labels(model=model)},{known(rule=rule)}")
    for route, status in found.routes:
        add_route(text, route, status, found.now_ms)
    return text


def _joined(parts: Parts, pipeline: Exposition, form: Format) -> bytes:
    return whole([of_process(parts).written(form), pipeline.written(form)], form)
