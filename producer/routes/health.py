"""GET /health, /livez, /readyz: how the API is. Cheap: nothing is asked of Redis, unless /health is
to be verbose.

Serving and monitoring are two questions: a load balancer must not take an API away because a worker
is, and whoever relies on the monitoring must not be told that all is well because predictions are
made. /readyz answers the first one, /readyz?monitoring the second.
"""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
import redis
from fastapi import APIRouter, Query, Request, Response
from pydantic import BeforeValidator

from driftgauge.producer.access.control import Guarded, caller_of, for_everybody, needs
from driftgauge.producer.answers.health import (
    Alive,
    FollowerHealth,
    Health,
    JudgingHealth,
    Lag,
    MissingNumbers,
    ModelHealth,
    PartitionHealth,
    Readiness,
    RefusedEvents,
    RefusedField,
    RefusedVersion,
    Ring,
    Served,
    Spooled,
    Task,
)
from driftgauge.producer.describing.declared import JSON, Answer, answers
from driftgauge.producer.parts import Parts
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.producer.reading.model_state import ModelState, PartitionState
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.scoring.serving import Serving
from driftgauge.producer.supervision import Supervisor
from driftgauge.producer.watching.feed import Unmonitored
from driftgauge.producer.watching.losses import waiting_and_lost
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.connections.refusals import ADVICE, EVICTION_ADVICE
from driftgauge.shared.contract.fault import ARCHIVE, FOLLOWERS, StageFault
from driftgauge.shared.contract.refused import RefusedHour
from driftgauge.shared.errors import BadData

TIMEOUT_S: Final = 3.0
NOT_READY: Final = 503
NO_WORKER: Final = (
    "No worker lives: what is logged waits to be counted. Start `driftgauge worker`, or read its "
    "log."
)

SET_BY_NAME: Final = BeforeValidator(lambda given: True if given == "" else given)
"""A parameter of a URL that is set by its name alone: `?monitoring`."""
Verbose = Annotated[bool, SET_BY_NAME, Query(description="Tell more.")]
Monitoring = Annotated[
    bool, SET_BY_NAME, Query(description="Ask whether what is logged is monitored.")
]
UNREADY: Final = Answer(
    "No model can predict; with `monitoring`, what is logged is not monitored.", {JSON: Readiness}
)


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["health"])

    @routes.get("/health")
    @needs("read")
    @answers(Health, "How the API is.")
    async def get_health(*, verbose: Verbose = False) -> Response:
        """Return the state in numbers; `verbose` adds what is counted, waits and is owned, per
        model and partition.
        """
        publisher = parts.publisher
        hanging = parts.scorer.hanging(parts.serving.production)
        pipeline, reason = await _pipeline(parts) if verbose else (msgspec.UNSET, "")
        return answer(
            Health(
                status="degraded" if reasons(parts) else "ok",
                redis="connected" if publisher.connected else "away",
                models={
                    served.model: served.version for served in parts.serving.production.values()
                },
                queued=publisher.queued,
                spooled=Spooled(publisher.spool.events, publisher.spool.bytes),
                published=publisher.published,
                resent=publisher.sender.resent,
                ring=Ring(publisher.sender.ring.bytes, publisher.sender.ring.shortened),
                dropped=dict(publisher.dropped),
                refused=dict(parts.refusals.events),
                refused_labels=dict(parts.refused_labels.events),
                hanging={model: hang.version for model, hang in hanging.items()},
                damaged=publisher.spool.damaged,
                adopted=publisher.spool.adopted,
                tasks=_tasks(parts.supervisor) if verbose else None,
                pipeline=pipeline,
                reason=reason,
            )
        )

    @routes.get("/livez")
    @for_everybody
    @answers(Alive, "The process lives.")
    async def get_liveness() -> Response:
        """Answer, which is all that is asked."""
        return answer(Alive())

    @routes.get("/readyz")
    @for_everybody
    @answers(Readiness, "A model can predict.", others={NOT_READY: UNREADY})
    async def get_readiness(
        request: Request, *, verbose: Verbose = False, monitoring: Monitoring = False
    ) -> Response:
        """Tell whether all is well. 503 only if no model can predict: without Redis or a worker
        the API is degraded and still serves, so that is 200 too.

        With `monitoring` it tells whether what is logged is monitored, and 503 if not: no worker, a
        stage that fails again and again, a lag that grows, no Redis.

        The reasons name files and models, so they are for those who may read; `verbose` adds for
        each model which version serves, and which one does not and why, and for each background
        task the age of its last successful look.
        """
        found = blindness(parts) if monitoring else reasons(parts)
        unready = found if monitoring else _nothing_predicts(parts)
        reader = caller_of(request).allows("read")
        more = reader and verbose
        return answer(
            Readiness(
                "degraded" if found else "ready",
                found if reader else None,
                _served(parts.serving) if more else None,
                _tasks(parts.supervisor) if more else None,
            ),
            NOT_READY if unready else 200,
        )

    return routes


def reasons(parts: Parts) -> list[str]:
    """Say what is degraded, of serving and of monitoring."""
    found = [fault.reason for fault in parts.serving.faults.values()]
    hanging = parts.scorer.hanging(parts.serving.production)
    found += [f"{model} {hang.words}" for model, hang in sorted(hanging.items())]
    if parts.access.ring.fault:
        found.append(parts.access.ring.fault)
    if not parts.serving.production:
        found.append("No model is loaded.")
    found += _of_publisher(parts.publisher)
    limit = parts.settings.refused_per_hour
    for refusals, what in ((parts.refusals, "events"), (parts.refused_labels, "labels")):
        found += [
            f"{model}: {refusals.hour(model).described(what)} here."
            for model in sorted(refusals.models)
            if refusals.is_bad(model, limit)
        ]
    watchdog = parts.watchdog
    found += [*map(_said, _unwatched(parts)), *watchdog.refused_policies, *watchdog.silent_routes]
    return [*found, *parts.supervisor.reasons]


def blindness(parts: Parts) -> list[str]:
    """Say why what is logged now is not monitored now; nothing if it is."""
    return [_said(one) for one in _blind(parts)]


def unmonitored(parts: Parts) -> list[Unmonitored]:
    """Say the same with the model that each reason is about, and whether a worker lives at all: a
    page is called live only while one does, also before anything waits for it.
    """
    lives = not parts.watchdog.looked or parts.watchdog.workers.live
    away = [] if lives or not parts.publisher.connected else [Unmonitored("", NO_WORKER)]
    return [*away, *_blind(parts)]


def _blind(parts: Parts) -> list[Unmonitored]:
    found = [
        *(Unmonitored("", words) for words in _of_publisher(parts.publisher)),
        *_unwatched(parts),
    ]
    if not parts.watchdog.looked:
        found.append(Unmonitored("", "The watchdog has not looked at the pipeline yet."))
    return found


def _unwatched(parts: Parts) -> list[Unmonitored]:
    """Say what the watchdog found that keeps events from being monitored; nothing while Redis is
    away, which is said.
    """
    if not parts.publisher.connected:
        return []
    found = [
        Unmonitored(model, words)
        for model, said in sorted(parts.watchdog.blinding.items())
        for words in said
    ]
    if parts.watchdog.fault:
        fault = f"The watchdog cannot look at the pipeline: {parts.watchdog.fault}"
        found.append(Unmonitored("", fault))
    return found


def _said(one: Unmonitored) -> str:
    return f"{one.model}: {one.reason}" if one.model else one.reason


def _nothing_predicts(parts: Parts) -> bool:
    """Tell whether every model that predicts here hangs."""
    predicting = {
        model for model, one in parts.serving.production.items() if one.estimator is not None
    }
    return bool(predicting) and predicting <= parts.scorer.hanging(parts.serving.production).keys()


def _of_publisher(publisher: Publisher) -> Iterator[str]:
    """Say what keeps events from Redis, or endangers them there."""
    if publisher.evicts:
        yield f"Redis {EVICTION_ADVICE.format(publisher.evicts)}."
    if publisher.left == "OOM":
        yield "Redis is nearly full; events are spooled until it has room."
    elif publisher.left:
        yield f"Events are spooled: {ADVICE[publisher.left]}."
    elif not publisher.connected:
        yield f"{publisher.silent} does not answer; events are spooled until it does."
    elif publisher.refused and publisher.refused_with in ADVICE:
        yield f"Events are spooled: {ADVICE[publisher.refused_with]}."
    elif publisher.refused:
        yield "Redis refuses events; they are spooled until it takes them."
    if publisher.spool.fault == "full":
        yield "The spool is full; events are kept in memory, and dropped when the queue is full."
    elif publisher.spool.fault == "error":
        yield (
            "The spool cannot be written; events are kept in memory, and dropped when the queue is "
            "full."
        )


def _tasks(supervisor: Supervisor) -> dict[str, Task]:
    """Describe the background tasks."""
    return {
        name: Task(round(task.age_s, 1), task.failures, task.fault or None)
        for name, task in supervisor.tasks.items()
    }


def _served(serving: Serving) -> dict[str, Served]:
    """Describe what serves each model, and what should and cannot; a fault without a model is among
    the reasons.
    """
    found = {}
    for model in sorted(serving.production.keys() | (serving.faults.keys() - {""})):
        served, fault = serving.production.get(model), serving.faults.get(model)
        found[model] = Served(
            None if served is None else served.version,
            None if fault is None else RefusedVersion(fault.version or None, fault.reason),
        )
    return found


async def _pipeline(parts: Parts) -> tuple[dict[str, ModelHealth] | None, str]:
    """Describe the pipeline; None with the reason if it cannot be read, since health has to
    answer.
    """
    try:
        async with asyncio.timeout(TIMEOUT_S):
            states = await parts.pipeline.read(await parts.pipeline.models())
    except (*UNAVAILABLE, TimeoutError):
        return None, "Redis does not answer."
    except (redis.RedisError, BadData) as error:
        return None, f"What stands in Redis cannot be read: {error}"
    return {state.model: described(state) for state in states}, ""


def described(state: ModelState) -> ModelHealth:
    """Describe a model's part of the pipeline."""
    return ModelHealth(
        events=state.events,
        refused=_refused(state.refused),
        refused_labels=_refused(state.refused_labels),
        missing=MissingNumbers(*waiting_and_lost(state)),
        unreadable=state.unreadable,
        partitions=[_partition(state, partition) for partition in state.partitions],
        judging=JudgingHealth(
            owned=state.judging_owned,
            panes_behind=[partition.panes_behind for partition in state.partitions],
            panes_waiting=[partition.waiting for partition in state.partitions],
            dead_letters=state.judging_dead,
            labels_too_late=state.labels_too_late,
            fault=_told(state.judging_fault),
        ),
        followers={
            name: FollowerHealth(_told(state.follower_faults.get(name)))
            for name in (*FOLLOWERS, ARCHIVE)
        },
    )


def _told(fault: StageFault | None) -> StageFault | None:
    """Return what a stage fails on; None once it goes on."""
    return None if fault is None or fault.over else fault


def _refused(hour: RefusedHour) -> RefusedEvents:
    fields = [RefusedField(fault.field, fault.reason, fault.events) for fault in hour.faults]
    return RefusedEvents(hour.refused, hour.taken, fields)


def _partition(state: ModelState, partition: PartitionState) -> PartitionHealth:
    backlog = partition.backlog
    return PartitionHealth(
        partition=partition.partition,
        owned=partition.owned,
        counted=partition.counted,
        missing=partition.counters.missing,
        rolled_back=partition.rolled_back,
        dead_letters=partition.dead_letters,
        exchanges=partition.counters.exchanges,
        fault=_told(partition.fault),
        lag=Lag(backlog.entries, backlog.exact, backlog.seconds, state.age_s(partition)),
    )
