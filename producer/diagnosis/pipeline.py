"""Checks of API and worker: whether they answer, keep up, and can read what is stored."""

import asyncio
from collections.abc import Iterator
from typing import Any

import redis

from driftgauge.producer.diagnosis.check import Check, note, ok, wrong
from driftgauge.producer.diagnosis.sources import Picture
from driftgauge.producer.diagnosis.standing import Standing, faults, standings
from driftgauge.producer.reading.pipeline import Pipeline
from driftgauge.shared.connections.cluster_client import open_client
from driftgauge.shared.contract.keys import FORMAT_FIELD, Keys, unreadable
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.local.finding import Found
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.settings import Settings


def api_check(found: Found, picture: Picture) -> Check:
    """Look whether the API answers where it is expected; where none is, it is only noted."""
    service, name = picture.service, "API"
    if not service.answers:
        expected = found.deployment is not None or found.settings.api_url is not None
        said = f"{found.api_url}: {service.reason}"
        if "key" in service.reason:
            return wrong(
                name, said, "Set DRIFTGAUGE_API_KEY to one; `driftgauge keys create` makes it."
            )
        advice = (
            "Start it with `driftgauge up` or `driftgauge serve`, or set DRIFTGAUGE_API_URL to "
            "where it is."
        )
        return wrong(name, said, advice) if expected else note(name, said, advice)
    if len(service.degraded) == 1 and not service.models:  # a new one, that waits for its first
        return note(
            name,
            f"{found.api_url} answers: {service.degraded[0]}",
            "Register one with `driftgauge models register`, and promote it.",
        )
    if service.degraded:
        return wrong(
            name,
            f"{found.api_url} answers, and is degraded",
            " ".join(service.degraded),
        )
    return ok(name, f"{found.api_url} answers; the dashboard is at {found.api_url}/")


def model_checks(found: Found, picture: Picture) -> Iterator[Check]:
    """Look at registry, workers, backlog and stored formats."""
    yield _registered(found.settings)
    if picture.pipeline is None:
        yield note("worker", f"nobody knows: {picture.reason}", "Mend Redis or the API first.")
        return
    models = standings(picture)
    if not models:
        yield note("worker", "no model has sent an event yet, so that nothing needs a worker")
        return
    yield _workers(models)
    yield _lag(models, found.settings.blind_lag_seconds)
    failing = [said for told in picture.pipeline.values() for said in faults(told)]
    if failing:
        yield wrong("stages", "; ".join(failing), "The worker's log has the whole fault.")
    else:
        yield ok("stages", "counting, judging and reporting go on")
    yield asyncio.run(_formats(found.settings, picture))


def _registered(settings: Settings) -> Check:
    name = "models"
    place = settings.registry_url or settings.registry_dir.absolute()
    try:
        registry = registry_of(settings)
        models = registry.registered()
        without = [model for model in models if not registry.stages(model).production]
    except (DriftgaugeError, OSError) as error:
        return wrong(name, f"{place} cannot be read", str(error))
    if not models:
        return note(
            name,
            f"none is registered in {place}",
            "Register one with `driftgauge models register`; `driftgauge demo` brings its own.",
        )
    if without:
        first = without[0]
        version = (registry.versions(first) or ["VERSION"])[-1]
        return note(
            name,
            f"not in production: {', '.join(without)}",
            f"`driftgauge models promote {first} {version}` puts it there.",
        )
    return ok(name, f"{len(models)} in production: {', '.join(models[:5])}")


def _workers(models: list[Standing]) -> Check:
    idle = [one.model for one in models if not one.worker]
    if idle:
        return wrong(
            "worker",
            f"none works on {', '.join(idle)}",
            "Start one with `driftgauge worker`, with the same DRIFTGAUGE_REDIS_URL and "
            "DRIFTGAUGE_KEY_PREFIX; its log says what it fails on.",
        )
    return ok("worker", f"every partition of {len(models)} models has one")


def _lag(models: list[Standing], most_s: float) -> Check:
    worst = max(models, key=lambda one: one.lag_seconds)
    said = f"{worst.lag_seconds:.1f} s at most ({worst.model}, {worst.lag_events:,} events wait)"
    if worst.lag_seconds > most_s:
        return wrong("lag", said, "Start more workers, or register with more --partitions.")
    return ok("lag", said)


async def _formats(settings: Settings, picture: Picture) -> Check:
    """Look whether this release can read the checkpoints and the current windows."""
    name = "stored formats"
    keys = Keys(settings.key_prefix)
    other: list[str] = []
    try:
        client = open_client(settings.redis_url)
        try:
            pipeline = Pipeline(client, keys)
            for model in picture.pipeline or {}:
                for key in await pipeline.checkpoints(model):
                    told: Any = await client.hget(key, FORMAT_FIELD.decode())
                    if told is not None and unreadable(told):
                        other.append(f"{key} {unreadable(told)}")
                windows = await client.hlen(keys.current(model))
                if windows and model not in picture.windows:
                    other.append(f"{keys.current(model)} has no window that can be read")
        finally:
            await client.aclose()
    except (redis.RedisError, DriftgaugeError) as error:
        return note(name, f"not known: {error}")
    if other:
        return wrong(
            name,
            "; ".join(other),
            "Another release wrote it. Run that one or a later one, or count anew under another "
            "DRIFTGAUGE_KEY_PREFIX.",
        )
    return ok(name, "the checkpoints have a format that this release reads")
