"""What is known of the pipeline and the models' windows: told by a running API, or read from Redis
where none answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import httpx
import msgspec
import redis

from driftgauge.shared.connections.api_client import authorization
from driftgauge.shared.connections.cluster_client import open_client
from driftgauge.shared.connections.redis_client import shown
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.contract.snapshot_parts import CurrentState
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.local.finding import Found
from driftgauge.shared.moments import Moment, untold
from driftgauge.shared.settings import Settings
from driftgauge.shared.unpacking import UNREADABLE

PATIENCE_S: Final = 10.0
"""Longest wait for an answer, in seconds."""
AT_ONCE: Final = 8
"""Most questions that are asked of the API at the same time."""
UNAUTHORIZED: Final = {401, 403}


class CurrentWindow(CurrentState, frozen=True):
    """The current window of a model, as far as one line tells of it."""

    verdict: str = ""
    events_per_day: float = 0.0


class OpenIncident(msgspec.Struct, frozen=True):
    """An open incident, as far as one line tells of it; `since` is a logical time in Unix ms."""

    id: str
    model: str
    severity: AlertSeverity
    headline: str
    advice: str
    since: Moment


class Service(msgspec.Struct, frozen=True):
    """What the API tells of itself.

    Parameters
    ----------
    answers
        Whether there is a Driftgauge that this user may ask.
    reason
        Why not; empty if so.
    degraded
        What is wrong, as the API says.
    models
        Number of models that it serves.
    """

    answers: bool
    reason: str = ""
    degraded: tuple[str, ...] = ()
    models: int = 0


class Picture(msgspec.Struct, frozen=True):
    """All that was found out.

    Parameters
    ----------
    pipeline
        For each model what `GET /health?verbose=true` tells of it; None if nobody knows.
    windows
        Current windows by model, of the version that was judged last.
    incidents
        Open incidents of all models, the latest first.
    source
        Where it is from: `api` or `redis`; empty if from nowhere.
    reason
        Why nothing is known; empty if it is.
    """

    service: Service
    pipeline: dict[str, Any] | None
    windows: dict[str, CurrentWindow]
    incidents: list[OpenIncident]
    source: str
    reason: str = ""


def look(found: Found, url: str | None = None) -> Picture:
    """Ask the API, and Redis if no API answers, or if it does not know.

    Parameters
    ----------
    url
        The API that alone is to be asked: the Redis that is known here may be another one's.
    """
    return asyncio.run(_look(found, url))


async def _look(found: Found, url: str | None) -> Picture:
    try:
        headers = authorization(found.settings)
        async with httpx.AsyncClient(
            base_url=url or found.api_url, headers=headers, timeout=PATIENCE_S, trust_env=False
        ) as client:
            service, health = await _service(client)
            told = health.get("pipeline")
            if told is not None:
                windows = await _windows(told, lambda model: _asked(client, model))
                return Picture(service, told, windows, await _opened(client), "api")
    except DriftgaugeError as error:  # a key that no header can hold
        service = Service(answers=False, reason=str(error))
    if url is not None:
        return Picture(
            service, None, {}, [], "", f"Of the API at {url} nothing is known: {service.reason}."
        )
    try:
        return await _of_redis(found.settings, service)
    except (redis.RedisError, TimeoutError):
        where = shown(found.settings.redis_url)
        return Picture(service, None, {}, [], "", f"Redis at {where} does not answer.")
    except DriftgaugeError as error:
        return Picture(service, None, {}, [], "", str(error))


async def _service(client: httpx.AsyncClient) -> tuple[Service, dict[str, Any]]:
    """Ask the API how it is, and for its view of the pipeline."""
    try:
        health = await client.get("/health", params={"verbose": "true"})
        ready = await client.get("/readyz", params={"verbose": "true"})
        if health.status_code in UNAUTHORIZED:
            return Service(answers=False, reason="it needs a key with the scope read"), {}
        told, reasons = health.json(), ready.json().get("reasons", [])
        if not health.is_success or "spooled" not in told:
            return Service(answers=False, reason="another program answers there"), {}
    except httpx.HTTPError:
        return Service(answers=False, reason="nothing answers there"), {}
    except (ValueError, AttributeError):
        return Service(answers=False, reason="another program answers there"), {}
    degraded = tuple(map(str, reasons))
    return Service(answers=True, degraded=degraded, models=len(told["models"])), told


async def _windows(
    models: Iterable[str], ask: Callable[[str], Awaitable[CurrentWindow | None]]
) -> dict[str, CurrentWindow]:
    """Ask for the current window of each model, some at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(model: str) -> CurrentWindow | None:
        async with room:
            return await ask(model)

    names = list(models)
    answers = await asyncio.gather(*map(one, names))
    return {
        model: window for model, window in zip(names, answers, strict=True) if window is not None
    }


async def _asked(client: httpx.AsyncClient, model: str) -> CurrentWindow | None:
    """Ask the API for a model's current window; None if it has none, or none that can be read."""
    try:
        answer = await client.get("/drift", params={"model": model})
        return untold(answer.json(), CurrentWindow) if answer.is_success else None
    except (httpx.HTTPError, *UNREADABLE):  # the rest is still of use
        return None


async def _opened(client: httpx.AsyncClient) -> list[OpenIncident]:
    """Ask the API for the open incidents; none if it does not tell."""
    try:
        answer = await client.get("/incidents", params={"state": "open"})
        return _incidents(answer.json()["incidents"]) if answer.is_success else []
    except (httpx.HTTPError, ValueError):  # the rest is still of use
        return []


async def _of_redis(settings: Settings, service: Service) -> Picture:
    """Read from Redis what the API would tell."""
    from driftgauge.producer.reading.incidents import open_incidents
    from driftgauge.producer.reading.pipeline import Pipeline
    from driftgauge.producer.routes.health import described  # loads the web framework

    client, keys = open_client(settings.redis_url), Keys(settings.key_prefix)
    try:
        async with asyncio.timeout(PATIENCE_S):
            pipeline = Pipeline(client, keys)
            states = await pipeline.read(await pipeline.models())

            async def current(model: str) -> CurrentWindow | None:
                packed: Any = await client.hvals(keys.current(model))
                windows = [one for one in map(_window, packed) if one is not None]
                return max(windows, key=lambda one: one.created, default=None)

            told = {state.model: msgspec.to_builtins(described(state)) for state in states}
            opened = _incidents(await open_incidents(client, keys, told))
            return Picture(service, told, await _windows(told, current), opened, "redis")
    finally:
        await client.aclose()


def _incidents(events: Iterable[Any]) -> list[OpenIncident]:
    """Read incidents; those that another release wrote are left out."""
    found = []
    for event in events:
        with suppress(msgspec.ValidationError):
            found.append(untold(event["data"], OpenIncident))
    return found


def _window(packed: bytes) -> CurrentWindow | None:
    """Read a window; None if another release wrote it."""
    try:
        return msgspec.json.decode(packed, type=CurrentWindow)
    except UNREADABLE:
        return None
