"""The parts of the API that routes work with."""

from dataclasses import dataclass

import redis.asyncio

from producer.access import Access
from producer.batch import Batches
from producer.dashboard.feed import Feed
from producer.meter import Meter
from producer.pipeline import Pipeline
from producer.publisher import Publisher
from producer.scoring import Scorer
from producer.serving import Serving
from producer.subscription import Subscriptions
from producer.watchdog import Watchdog
from shared.keys import Keys
from shared.settings import Settings


@dataclass(frozen=True)
class Parts:
    """What `create_app` builds and each router is made of.

    Parameters
    ----------
    reader
        Client of the reading routes.
    subscriptions
        The alert streams that clients follow, on connections of their own since their reads block.
    pipeline
        What stands in Redis, for health and metrics.
    feed
        What keeps the dashboard's pages live.
    """

    keys: Keys
    serving: Serving
    scorer: Scorer
    batches: Batches
    publisher: Publisher
    reader: redis.asyncio.Redis
    subscriptions: Subscriptions
    pipeline: Pipeline
    feed: Feed
    meter: Meter
    watchdog: Watchdog
    access: Access
    settings: Settings
