"""Requests per second of each key, or of each address without one: a sliding window, in this
process's memory.

The window is the current second and the share of the last one that it still covers, so a burst
across the second's turn gets no double allowance
(https://limits.readthedocs.io/en/stable/strategies.html, sliding window counter). Each process
counts for itself: behind N processes a key has N times the limit.
"""

import ipaddress
import time
from collections import OrderedDict
from functools import lru_cache
from typing import Final

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

MOST_CALLERS: Final = 10_000
"""Callers that are remembered; beyond it the one that was silent for longest is forgotten, at about
200 B each.
"""
IPV6_SITE: Final = 64
"""Bits of an IPv6 address that a site is given as a whole: a caller has as many addresses below
them as it likes.
"""


class BoundedWindows(MemoryStorage):
    """The library's memory with a bound, and without the threads that clear its own.

    Only what the sliding window needs is here; all of it is called by one thread, the event loop's.
    """

    STORAGE_SCHEME = ["bounded"]  # noqa: RUF012  as the library declares it: its name in the registry of storages

    def __init__(self, most: int = MOST_CALLERS) -> None:
        super().__init__()
        self._most = most
        self._windows: OrderedDict[str, tuple[int, int, int]] = OrderedDict()

    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        """Count a request, unless the window is full."""
        now = time.monotonic() / expiry
        window, before, current = self._turned(key, int(now))
        if before * (1 - now % 1) + current + amount > limit:
            return False
        self._windows[key] = (window, before, current + amount)
        self._windows.move_to_end(key)
        if len(self._windows) > self._most:
            self._windows.popitem(last=False)
        return True

    def __len__(self) -> int:
        return len(self._windows)

    def _turned(self, key: str, window: int) -> tuple[int, int, int]:
        """Give a caller's counts as of a window: number, requests of the one before, requests of
        it.
        """
        last, before, current = self._windows.get(key, (window, 0, 0))
        if last == window:
            return last, before, current
        return window, current if last == window - 1 else 0, 0


class Rates:
    """The limit of every caller.

    Parameters
    ----------
    per_second
        Requests; 0 for no limit.
    """

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self.windows = BoundedWindows()
        self._limiter = SlidingWindowCounterRateLimiter(self.windows)
        self._limit = RateLimitItemPerSecond(max(1, per_second))

    def admit(self, caller: str) -> bool:
        """Count a request of a caller; False if it has had its share of this second."""
        return not self.per_second or self._limiter.hit(self._limit, caller)


@lru_cache(maxsize=MOST_CALLERS)
def site_of(address: str) -> str:
    """Give what an address is limited as; empty for this machine, which is not.

    Examples
    --------
    >>> site_of("203.0.113.7"), site_of("2001:db8::1"), site_of("127.0.0.1")
    ('203.0.113.7', '2001:db8::/64', '')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a unix socket's, or a test's
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return site_of(str(parsed.ipv4_mapped))
        return (
            ""
            if parsed.is_loopback
            else str(ipaddress.ip_network((parsed, IPV6_SITE), strict=False))
        )
    return "" if parsed.is_loopback else str(parsed)
