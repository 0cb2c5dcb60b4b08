"""Whether a worker lives, by the changes of their heartbeats.

Every worker raises a number of its own in one hash (consumer/stages/sharing.py). One that ended
without a word leaves its number behind, so only a change is a sign of life, by the observer's
monotonic clock.
"""

from collections.abc import Mapping

DEAD_AFTER_LEASES = 2.0
"""Time, in leases, without a change after which no worker lives: ten heartbeats."""


class Workers:
    """The workers' signs of life.

    Parameters
    ----------
    dead_after_s
        Time (s) without one after which none lives.

    Examples
    --------
    >>> workers = Workers(7.0)
    >>> workers.look({b"a": b"1"}, 0.0), workers.look({b"a": b"1"}, 5.0)
    (True, True)
    >>> workers.look({b"a": b"1"}, 10.0), workers.look({b"a": b"2"}, 15.0)
    (False, True)
    >>> workers.look({}, 16.0)
    False
    """

    def __init__(self, dead_after_s: float) -> None:
        self.live = True
        self._dead_after_s = dead_after_s
        self._seen: Mapping[bytes, bytes] = {}
        self._changed = 0.0

    def look(self, beats: Mapping[bytes, bytes], now: float) -> bool:
        """Take in the heartbeats at a time (s); return whether a worker lives. A number that is
        seen for the first time counts as a sign of life.
        """
        if any(self._seen.get(name) != beat for name, beat in beats.items()):
            self._changed = now
        self._seen = dict(beats)
        self.live = bool(beats) and now - self._changed <= self._dead_after_s
        return self.live
