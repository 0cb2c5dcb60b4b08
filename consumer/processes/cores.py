"""How many processes a worker has."""

import os
from typing import Final

MOST: Final = 2
"""One that counts, and one that judges."""


def processes_of(wanted: int) -> int:
    """Return the number of processes; 0 wants two where there is more than one core.

    Examples
    --------
    >>> processes_of(1)
    1
    """
    if wanted:
        return wanted
    own = getattr(os, "sched_getaffinity", None)
    cores = os.cpu_count() or 1 if own is None else len(own(0))
    return min(MOST, cores)
