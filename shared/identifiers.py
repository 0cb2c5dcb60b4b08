"""Unique identifiers that processes can make without asking each other."""

import os
import time
from uuid import UUID


def new_id() -> str:
    """Make a UUID version 7 (RFC 9562): its text sorts by the time of creation, in ms."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=number))
