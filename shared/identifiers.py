"""Identifiers that need no coordination."""

import os
import time
from uuid import UUID


def new_id() -> str:
    """Make a UUID version 7: ordered by time, unique without coordination (RFC 9562)."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=number))
