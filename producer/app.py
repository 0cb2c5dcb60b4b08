"""The API: the one place where its parts meet."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI

from driftgauge.producer import failures
from driftgauge.producer.access.control import Access, Guarded, require_declarations
from driftgauge.producer.access.rates import Rates
from driftgauge.producer.dashboard import documentation, login, pages
from driftgauge.producer.dashboard import routes as dashboard
from driftgauge.producer.dashboard.told import incidents as incident_pages
from driftgauge.producer.dashboard.told import notifications as notification_pages
from driftgauge.producer.describing.document import describe, new_app
from driftgauge.producer.exporting.child import Exports
from driftgauge.producer.http.connections import TICK_S, Connections, room_for
from driftgauge.producer.http.headers import SecurityHeaders
from driftgauge.producer.http.prefix import Prefixed
from driftgauge.producer.http.slashes import SlashRedirect
from driftgauge.producer.intake.documents import MOST_BODY_BYTES, Bodies
from driftgauge.producer.intake.numbering import Clients
from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.metrics.scrapes import Scrapes
from driftgauge.producer.parts import Parts
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.producer.reading.pipeline import Pipeline
from driftgauge.producer.reading.predictions.archived import ArchivePages
from driftgauge.producer.reading.predictions.pages import Predictions
from driftgauge.producer.reading.subscription import Kind, Subscriptions
from driftgauge.producer.reading.traffic.history import TrafficHistory
from driftgauge.producer.routes import (
    batch,
    columns,
    health,
    metrics,
    models,
    open_inference,
    predict,
    predictions,
    references,
    versions,
)
from driftgauge.producer.routes.judged import alerts, drift, incidents, notifications, reports
from driftgauge.producer.routes.logged import cloudevents, events, labels, publishers
from driftgauge.producer.routes.published import schemas
from driftgauge.producer.scoring.batch import Batches
from driftgauge.producer.scoring.scorer import Scorer
from driftgauge.producer.scoring.serving import POLL_S, Serving
from driftgauge.producer.slicing import page as slice_page
from driftgauge.producer.supervision import Supervisor, stopped
from driftgauge.producer.watching.access_log import AccessLog
from driftgauge.producer.watching.feed import Feed
from driftgauge.producer.watching.meter import Meter, Metered
from driftgauge.producer.watching.tracing import Traced
from driftgauge.producer.watching.watchdog import Watchdog
from driftgauge.shared.access.key_ring import POLL_S as KEYS_POLL_S
from driftgauge.shared.access.key_ring import KeyRing
from driftgauge.shared.connections.cluster_client import open_client
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.registry.reference_publishing import restore
from driftgauge.shared.settings import Settings
from driftgauge.shared.stamps import Stamps
from driftgauge.shared.unpacking import prepare_structs

if TYPE_CHECKING:
    from driftgauge.shared.otel.sdk import Telemetry

MAX_READERS = 64
MAX_SUBSCRIBER_READS = 8
"""Most connections to Redis of all subscribers together."""
METRICS_S: Final = 30.0
"""Longest time (s) that reading all metrics may take, for a collector."""
REFERENCES_S: Final = 10.0
"""Seconds between looks whether Redis still has the accepted references."""

logger = logging.getLogger("driftgauge.producer")

ROUTERS = (
    pages.router,
    incident_pages.router,
    notification_pages.router,
    slice_page.router,
    predict.router,
    batch.router,
    open_inference.router,
    predictions.router,
    events.router,
    publishers.router,
    cloudevents.router,
    labels.router,
    models.router,
    columns.router,
    versions.router,
    references.router,
    drift.router,
    reports.router,
    alerts.router,
    incidents.router,
    notifications.router,
    health.router,
    metrics.router,
    schemas.router,
    login.router,
    documentation.router,
    dashboard.router,
)


def create_app(settings: Settings, telemetry: "Telemetry | None" = None) -> FastAPI:
    """Build the API. Nothing is connected or loaded before its lifespan begins.

    Parameters
    ----------
    telemetry
        What sends traces and metrics to a collector; None if nothing is wanted there.
    """
    prepare_structs()
    parts = build(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(parts):
            if telemetry is not None:
                telemetry.push(_metrics(Scrapes(parts)))
            try:
                yield
            finally:
                if telemetry is not None:
                    await asyncio.to_thread(telemetry.close)

    app = new_app(
        lifespan=lifespan,
        redirect_slashes=False,  # it would name any host; ours does not
    )
    app.router.route_class = Guarded
    app.router.default = SlashRedirect(app.router)
    app.state.parts = parts
    app.state.routes = []
    for router in ROUTERS:
        made = router(parts)
        app.state.routes += require_declarations(made.routes)
        app.router.routes += made.routes  # `include_router` would analyse each endpoint again
    describe(app, [one.endpoint for one in app.state.routes if one.include_in_schema])
    failures.install(app)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Metered, meter=parts.meter, log=AccessLog(settings))
    if telemetry is not None and telemetry.tracing is not None:
        app.add_middleware(Traced, tracing=telemetry.tracing)
    app.add_middleware(Prefixed, root=settings.root_path)
    return app


def build(settings: Settings) -> Parts:
    """Build the parts."""
    keys = Keys(settings.key_prefix)
    supervisor = Supervisor()
    publisher = Publisher(settings, supervisor)
    serving = Serving(
        registry_of(settings),
        settings.default_model,
        publisher.announce,
        settings.pii_secret,
    )
    scorer = Scorer(settings.score_batch_rows, settings.model_timeout_seconds)
    refusals, refused_labels = Refusals(), Refusals()
    reader = open_client(settings.redis_url, max_connections=MAX_READERS)
    pipeline, meter = Pipeline(reader, keys), Meter()
    connections = Connections(room_for(settings.max_connections))

    def followed(kind: Kind) -> Subscriptions:
        client = open_client(settings.redis_url, max_connections=MAX_SUBSCRIBER_READS + 1)
        most, reads = connections.most_streams, MAX_SUBSCRIBER_READS
        return Subscriptions(client, keys, kind, most=most, most_reads=reads)

    parts = Parts(
        keys=keys,
        serving=serving,
        scorer=scorer,
        batches=Batches(settings, serving, scorer, publisher, refusals),
        publisher=publisher,
        refusals=refusals,
        refused_labels=refused_labels,
        clients=Clients(lambda model: serving.choose(model).manifest),
        reader=reader,
        scraper=open_client(settings.redis_url, socket_timeout=None, max_connections=2),
        exports=Exports(settings),
        predictions=Predictions(reader, pipeline, archived_of(settings)),
        subscriptions=followed("alert"),
        incidents=followed("incident"),
        pipeline=pipeline,
        traffic=TrafficHistory(reader, pipeline),
        feed=Feed(
            reader,
            keys,
            pipeline,
            meter,
            serving,
            lambda: health.unmonitored(parts),
            most=connections.most_streams,
            supervisor=supervisor,
        ),
        meter=meter,
        watchdog=Watchdog(
            settings,
            publisher.dropped,
            refusals,
            serving.production,
            labels=refused_labels,
            hanging=lambda: scorer.hanging(serving.production),
            held=publisher.held,
            stamps=Stamps(settings.data_dir / "stamps" / "api.json"),
        ),
        access=Access(
            KeyRing(settings.keys_path, required=settings.keys_required),
            Rates(settings.requests_per_second),
            settings.host_names,
        ),
        connections=connections,
        bodies=Bodies(max(MOST_BODY_BYTES, 4 * settings.events_max_bytes)),
        supervisor=supervisor,
        settings=settings,
    )
    return parts


def archived_of(settings: Settings) -> ArchivePages | None:
    """Return the archive that the settings name; None if they name none."""
    if settings.archive_url is None:
        return None
    return ArchivePages(settings.archive_url, int(settings.label_wait_hours * 3_600_000))


@asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[None]:
    """Run the parts: models are loaded before the first request, queued events are sent after the
    last.
    """
    await parts.serving.refresh()
    parts.publisher.start()
    parts.watchdog.start(parts.supervisor)
    archived = parts.predictions.archived
    if archived is not None:
        archived.start()
    following = parts.supervisor.keep("look at the registry", parts.serving.follow, POLL_S)
    keys = parts.supervisor.keep_in_thread(
        "look at the keys file", parts.access.ring.refresh, KEYS_POLL_S
    )
    watching = parts.supervisor.keep("look at the connections", parts.connections.look, TICK_S)
    references = parts.supervisor.keep(
        "look at the accepted references", partial(_restore_references, parts), REFERENCES_S
    )
    try:
        with keys:
            yield
    finally:
        parts.subscriptions.end()
        parts.incidents.end()
        parts.feed.end()
        await stopped(following)
        await stopped(watching)
        await stopped(references)
        parts.serving.close()
        parts.scorer.close()
        await parts.watchdog.close()
        await parts.publisher.close()
        if archived is not None:
            archived.close()
        await parts.reader.aclose()
        await parts.scraper.aclose()
        await parts.subscriptions.close()
        await parts.incidents.close()


def _metrics(scrapes: Scrapes) -> Callable[[], bytes]:
    """Return what reads all metrics from another thread."""
    loop = asyncio.get_running_loop()

    def read() -> bytes:
        return asyncio.run_coroutine_threadsafe(scrapes.body("text"), loop).result(METRICS_S)

    return read


async def _restore_references(parts: Parts) -> None:
    """Publish accepted references again that Redis has lost; one that is away is asked later."""
    settings = parts.settings
    with suppress(*UNAVAILABLE):
        found = await asyncio.to_thread(
            restore, settings.redis_url, Keys(settings.key_prefix), registry_of(settings)
        )
        for change in found:
            logger.warning("Reference %d of %s is published again.", change.number, change.version)
