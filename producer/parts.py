"""The parts of the API that routes work with."""

from dataclasses import dataclass

import redis.asyncio

from producer.publisher import Publisher
from producer.scoring import Scorer
from producer.serving import Serving
from producer.subscription import Subscriptions
from shared.keys import Keys


@dataclass(frozen=True)
class Parts:
    """What `create_app` builds and each router is made of.

    Parameters
    ----------
    reader
        Client of the reading routes.
    subscriptions
        The alert streams that clients follow, on connections of their own since their reads block.
    """

    keys: Keys
    serving: Serving
    scorer: Scorer
    publisher: Publisher
    reader: redis.asyncio.Redis
    subscriptions: Subscriptions
