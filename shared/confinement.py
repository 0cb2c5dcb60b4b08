"""Bounds that a child process sets itself, before it reads what somebody sent: a file of a megabyte
can ask for all memory, or for ever.
"""

import contextlib
import signal
from typing import Final

LEAST_MEMORY: Final = 4 << 30
"""Bytes of address space of a child; more for a file whose contents take more."""
GROWTH: Final = 20
"""Bytes of address space for each byte of its files."""
OUT_OF_MEMORY: Final = 77
"""Exit code of a child that was refused memory."""


def memory_for(size: int) -> int:
    """Return the bytes of address space of a child that reads files of so many bytes."""
    return max(LEAST_MEMORY, GROWTH * size)


def confine(memory: int, seconds: int) -> None:
    """Bound this process for the rest of its life; lower bounds of its own stay.

    Parameters
    ----------
    memory
        Bytes of address space.
    seconds
        Time after which SIGALRM ends it.
    """
    try:
        import resource
    except ImportError:  # no POSIX: the parent bounds the time alone
        return
    signal.alarm(seconds)
    for limit, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # ours is lower already
            resource.setrlimit(limit, (most, most))


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory was refused: Python's, or that of a C++ library."""
    return isinstance(error, MemoryError) or "bad_alloc" in str(error)
