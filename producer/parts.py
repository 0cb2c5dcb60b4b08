"""The parts of the API that routes work with."""

from dataclasses import dataclass

import redis.asyncio

from driftgauge.producer.access.control import Access
from driftgauge.producer.exporting.child import Exports
from driftgauge.producer.http.connections import Connections
from driftgauge.producer.intake.documents import Bodies
from driftgauge.producer.intake.numbering import Clients
from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.producer.reading.pipeline import Pipeline
from driftgauge.producer.reading.predictions.pages import Predictions
from driftgauge.producer.reading.subscription import Subscriptions
from driftgauge.producer.reading.traffic.history import TrafficHistory
from driftgauge.producer.scoring.batch import Batches
from driftgauge.producer.scoring.scorer import Scorer
from driftgauge.producer.scoring.serving import Serving
from driftgauge.producer.supervision import Supervisor
from driftgauge.producer.watching.feed import Feed
from driftgauge.producer.watching.meter import Meter
from driftgauge.producer.watching.watchdog import Watchdog
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings


@dataclass(frozen=True)
class Parts:
    """The objects that `create_app` builds and that each router takes.

    Parameters
    ----------
    reader
        Client of the reading routes.
    scraper
        Client of /metrics, without a timeout for each answer: a timer for each of a thousand
        models' answers takes more than reading it.
    predictions
        Pages of predictions, from the logs and the archive.
    exports
        Downloads of the archive.
    subscriptions, incidents
        The streams of alerts and of incidents that clients follow.
    pipeline
        What stands in Redis, for health and metrics.
    refusals
        What this process took and refused of the events that clients sent.
    refused_labels
        The same of labels.
    clients
        The clients that number what they send.
    supervisor
        How the background tasks are.
    traffic
        When the models' events came, for the charts of the dashboard.
    feed
        Live updates of the dashboard's pages.
    bodies
        Memory for the bodies of requests that are not whole yet.
    """

    keys: Keys
    serving: Serving
    scorer: Scorer
    batches: Batches
    publisher: Publisher
    refusals: Refusals
    refused_labels: Refusals
    clients: Clients
    reader: redis.asyncio.Redis
    scraper: redis.asyncio.Redis
    predictions: Predictions
    exports: Exports
    subscriptions: Subscriptions
    incidents: Subscriptions
    pipeline: Pipeline
    traffic: TrafficHistory
    feed: Feed
    meter: Meter
    watchdog: Watchdog
    access: Access
    connections: Connections
    bodies: Bodies
    supervisor: Supervisor
    settings: Settings
