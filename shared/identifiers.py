"""Unique identifiers that processes can make without asking each other."""

import os
import time
from typing import Final

VERSION: Final = "7"
VARIANTS: Final = {f"{digit:x}": "89ab"[digit & 3] for digit in range(16)}
"""A random digit to that which tells the variant of RFC 9562, in its two upper bits."""
RANDOM_BYTES: Final = 10


def new_id() -> str:
    """Make a UUID version 7 (RFC 9562): its text sorts by the time of creation, in ms."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[str]:
    """Make several of one moment; among them they are in no order.

    Examples
    --------
    >>> from uuid import UUID
    >>> [UUID(one).version for one in new_ids(2)]
    [7, 7]
    """
    moment = f"{time.time_ns() // 1_000_000:012x}"
    head = f"{moment[:8]}-{moment[8:]}-{VERSION}"
    drawn = os.urandom(RANDOM_BYTES * count).hex()
    return [
        f"{head}{drawn[at : at + 3]}-{VARIANTS[drawn[at + 3]]}{drawn[at + 4 : at + 7]}"
        f"-{drawn[at + 7 : at + 19]}"
        for at in range(0, 2 * RANDOM_BYTES * count, 2 * RANDOM_BYTES)
    ]
