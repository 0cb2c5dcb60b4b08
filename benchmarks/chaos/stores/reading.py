"""Reading any key of a Redis Cluster, for those who look into it: never for those who write."""

import time
from typing import Any

import redis

from driftgauge.shared.connections.cluster import MOVED
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import UNAVAILABLE, connect

PAUSES_S = (0.0, 0.02, 0.1, 0.3)
"""Pauses before a command is sent again whose slot is elsewhere, or on its way."""


class Reader(redis.Redis):
    """A client whose commands go to the master of their key.

    Parameters
    ----------
    node
        Address of a node of the cluster, which knows the others.
    """

    def __init__(self, node: str) -> None:
        super().__init__()
        self._nodes = Nodes(node.replace("redis:", "redis+cluster:"))

    def execute_command(self, *words: Any, **options: Any) -> Any:
        """Send a command, and again where a node says that the slot is.

        Raises
        ------
        redis.ConnectionError
            If nobody has it (any more).
        """
        why: redis.RedisError | None = None
        for pause_s in PAUSES_S:
            try:
                return self._nodes.shared(words[1]).execute_command(*words, **options)
            except redis.exceptions.MovedError as error:
                why = error
            except redis.exceptions.AskError as error:
                with connect(f"redis://{error.host}:{error.port}") as there:
                    return _asking(there, words, options)
            except MOVED as error:
                why = error
            except UNAVAILABLE:
                self._nodes.forget()  # another master may have the slot at the next try
                raise
            self._nodes.forget()
            time.sleep(pause_s)
        raise redis.ConnectionError(f"no master has the slot of {words[1]}") from why

    def close(self) -> None:
        self._nodes.close()
        super().close()


def _asking(there: redis.Redis, words: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Send a command to the node that a slot is on its way to."""
    with there.client() as one:
        one.execute_command("ASKING")
        return one.execute_command(*words, **options)
