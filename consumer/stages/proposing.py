"""Makes the references that the API requests, in the worker that takes the request, in a thread
beside its stages.

No lease is needed: one worker takes a request out of the list, and making a reference changes
nothing in Redis. If that worker dies, the user makes the request again.
"""

import logging
import threading
from typing import Any, Final

import redis

from driftgauge.consumer.offline.referencing import propose
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.connections.nodes import MOVED, Nodes
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.contract import proposals
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.proposals import ANSWER_KEPT_S, Answer
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.settings import Settings
from driftgauge.shared.unpacking import UNREADABLE

log = logging.getLogger("driftgauge.worker")

POLL_S: Final = 0.5


class Proposer:
    """Answers the requests of all models.

    Parameters
    ----------
    settings
        Settings of the deployment.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._nodes = Nodes(settings.redis_url)
        self._clients: dict[str, redis.Redis] = {}
        self._models: list[str] = []
        self._refused: dict[str, str] = {}

    def add(self, model: str) -> None:
        """Answer the requests of a further model too."""
        self._models.append(model)

    def run(self, stop: threading.Event) -> None:
        """Answer requests until stopped. Errors of Redis for one model (a key that is not a list,
        full memory) do not end the thread.
        """
        while not stop.wait(POLL_S):
            for model in list(self._models):
                try:
                    self._answer(model)
                except (*UNAVAILABLE, *MOVED):
                    self._forget(model)
                except redis.RedisError as error:
                    if self._refused.get(model) != str(error):  # once, and not twice a second
                        log.warning(
                            "Requests for references of %s cannot be answered: %s.", model, error
                        )
                    self._refused[model] = str(error)
                    self._forget(model)  # the primary may be another server by now
        for model in list(self._clients):
            self._forget(model)

    def _answer(self, model: str) -> None:
        """Take one request and answer it; one that cannot be read was written by hand and is
        dropped.
        """
        client = self._client(model)
        packed: Any = client.lpop(self._keys.proposals(model))
        if packed is None:
            return
        try:
            request = proposals.decode_request(packed)
        except UNREADABLE as error:
            log.warning("A request for a reference of %s cannot be read: %s.", model, error)
            return
        answer = self._made(model, request.version, request.window_ms)
        client.set(
            self._keys.proposed(model, request.id), proposals.encode(answer), ex=ANSWER_KEPT_S
        )

    def _made(self, model: str, version: str, window_ms: int) -> Answer:
        """Make the reference; the answer holds the fault if that fails."""
        try:
            published = (
                PublishedVersions(self._client(model), self._keys, model)
                .fetch({version})
                .get(version)
            )
            if published is None:
                return Answer(
                    fault=f"{model} {version} was never published, so nothing was counted of it."
                )
            return Answer(propose(self._settings, published, window_ms).pack())
        except DriftgaugeError as error:
            return Answer(fault=str(error))
        except (*UNAVAILABLE, *MOVED):
            return Answer(fault="Redis did not answer while the panes were read. Try again.")
        except (
            Exception
        ) as error:  # a fault in one request must not end the thread that answers all
            log.exception("A reference of %s %s could not be made", model, version)
            return Answer(
                fault=f"The worker failed at it ({type(error).__name__}); its log says where."
            )

    def _client(self, model: str) -> redis.Redis:
        if model not in self._clients:
            self._clients[model] = self._nodes.client(self._keys.proposals(model))
        return self._clients[model]

    def _forget(self, model: str) -> None:
        client = self._clients.pop(model, None)
        if client is not None:
            client.close()
