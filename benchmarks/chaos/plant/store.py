"""What a plant's Redis is to everybody else: an address, and a client to look into it."""

from collections.abc import Sequence
from typing import Protocol

import redis


class Store(Protocol):
    """A Redis that runs while its context lasts."""

    @property
    def url(self) -> str:
        """Address for APIs and workers."""

    @property
    def runs(self) -> bool:
        """Whether it was not ended."""

    def client(self) -> redis.Redis:
        """Make a client that reads any key; the caller closes it."""

    def servers(self) -> Sequence[redis.Redis]:
        """Make a client of each server that takes writes; the caller closes them."""
