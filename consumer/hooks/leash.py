"""Runs a command that ends together with the worker: `python -I leash.py PID COMMAND …`, with the
worker's PID.

A worker that is killed cannot stop its command, and the next owner would start a second one beside
it. On Linux the kernel signals the command then. This is requested here, not between fork and exec
of the worker, because Python code there can deadlock in a process with threads. Only the standard
library is used: the interpreter starts isolated.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
ORPHAN = 75
NOT_FOUND = 127


def main() -> None:
    """Replace this process by the command."""
    worker, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != worker:  # it died before we asked
            sys.exit(ORPHAN)
    signal.signal(
        signal.SIGPIPE, signal.SIG_DFL
    )  # Python ignores it, and the command would inherit that
    try:
        os.execvp(command[0], command)  # noqa: S606  the operator's command, without a shell
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}.\n")
        sys.exit(NOT_FOUND)


if __name__ == "__main__":
    main()
