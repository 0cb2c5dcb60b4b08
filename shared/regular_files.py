"""Reading files that somebody else may have put there: regular ones only, and never more than is
expected.

A pipe would block its reader for ever, a device may never end, and a file of 20 GB would take all
memory. What is refused is an OSError like any other, so that who reads a file has one case to
handle.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Final

SMALL: Final = 16 << 20
"""Most bytes of a file that a person or a command writes: keys, manifests, stages."""
LARGE: Final = 8 << 30
"""Most bytes of a fitted model or a reference."""


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a file if it is a regular one, and return its descriptor.

    Parameters
    ----------
    flags
        Access as of `os.open`. The file is never made, and the opening never waits.

    Raises
    ------
    OSError
        If it cannot be opened, or is a folder, pipe, device or socket.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no regular file", str(path))


def read_regular(path: Path, most: int = SMALL) -> bytes:
    """Read a whole file of at most so many bytes.

    Raises
    ------
    OSError
        If it cannot be read, is no regular file, or is larger; nothing of it was read then.

    Examples
    --------
    >>> read_regular(Path("/dev/zero"))
    Traceback (most recent call last):
    OSError: [Errno 22] it is no regular file: '/dev/zero'
    """
    with open(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        check_size(path, size, most)
        content = file.read(size + 1)  # as much memory is taken as is asked for
        content += file.read(most + 1 - len(content)) if len(content) > size else b""
    check_size(path, len(content), most)  # it may have grown meanwhile
    return content


def check_size(path: Path, size: int, most: int) -> None:
    """Raise OSError if a file has more bytes than are read."""
    if size > most:
        raise OSError(
            errno.EFBIG, f"it has {size:,} bytes, and at most {most:,} are read", str(path)
        )
