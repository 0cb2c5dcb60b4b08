"""Makes the references that the API requests, in the worker that takes the request, in a thread
beside its stages.

No lease is needed: one worker takes a request out of the list, and making a reference changes
nothing in Redis. If that worker dies, the user makes the request again.
"""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

import redis

from driftgauge.consumer.offline.referencing import propose
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.connections.bulk import ask_all
from driftgauge.shared.connections.cluster import MOVED
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.connections.refusals import refusal
from driftgauge.shared.contract import proposals
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.proposals import ANSWER_KEPT_S, Answer
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.settings import Settings
from driftgauge.shared.unpacking import UNREADABLE

log = logging.getLogger("driftgauge.worker")

POLL_S: Final = 0.5
LONGEST_POLL_S: Final = 2.0
PAUSE_PER_COST: Final = 250
"""Pause between two looks in multiples of what one takes of the processor, within these bounds."""


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
        self._models: list[str] = []
        self._refused: dict[str, str] = {}

    def add(self, model: str) -> None:
        """Answer the requests of a further model too."""
        self._models.append(model)

    def run(self, stop: threading.Event) -> None:
        """Answer requests until stopped. Errors of Redis for one model (a key that is not a list,
        full memory) do not end the thread.
        """
        pause_s = POLL_S
        while not stop.wait(pause_s):
            begun_s = time.thread_time()
            try:
                self._answer_all(list(self._models))
            except (*UNAVAILABLE, *MOVED):
                self._nodes.forget()
            except redis.RedisError as error:
                self._complain("a model", error)
                self._nodes.forget()
            cost_s = time.thread_time() - begun_s
            pause_s = min(LONGEST_POLL_S, max(POLL_S, PAUSE_PER_COST * cost_s))
        self._nodes.close()

    def _answer_all(self, models: Sequence[str]) -> None:
        """Take one request of each model, in one round trip to each server, and answer them."""
        servers: dict[redis.Redis, list[str]] = {}
        for model in models:
            client = self._nodes.shared(self._keys.proposals(model))
            servers.setdefault(client, []).append(model)
        for client, names in servers.items():
            replies = ask_all(client, [("LPOP", self._keys.proposals(name)) for name in names])
            for name, reply in zip(names, replies, strict=True):
                if isinstance(reply, MOVED):  # asked elsewhere next time
                    self._nodes.forget()
                elif isinstance(reply, Exception):
                    self._complain(name, reply)
                    if refusal(reply):
                        self._nodes.forget()  # the primary may be another server by now
                elif reply is not None:
                    self._answer(client, name, reply)

    def _complain(self, model: str, error: Exception) -> None:
        """Log an error once, and not twice a second."""
        if self._refused.get(model) != str(error):
            log.warning("Requests for references of %s cannot be answered: %s.", model, error)
        self._refused[model] = str(error)

    def _answer(self, client: redis.Redis, model: str, packed: bytes) -> None:
        """Answer a request; one that cannot be read was written by hand and is dropped."""
        try:
            request = proposals.decode_request(packed)
        except UNREADABLE as error:
            log.warning("A request for a reference of %s cannot be read: %s.", model, error)
            return
        answer = self._made(client, model, request.version, request.window_ms)
        client.set(
            self._keys.proposed(model, request.id), proposals.encode(answer), ex=ANSWER_KEPT_S
        )

    def _made(self, client: redis.Redis, model: str, version: str, window_ms: int) -> Answer:
        """Make the reference; the answer holds the fault if that fails."""
        try:
            published = PublishedVersions(client, self._keys, model).fetch({version}).get(version)
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
