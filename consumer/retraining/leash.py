"""Start a command so that it ends with the worker: `python -I leash.py PID COMMAND …`, PID being
the worker's.

A worker that is killed cannot stop its command; the next owner would start the command beside it.
On Linux the kernel sends the signal. It is asked here and not between fork and exec of a worker
with threads, where Python code may wait for ever. Standard library only: the interpreter starts
isolated.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
ORPHAN = 75
NOT_FOUND = 127


def main() -> None:
    """Become the command."""
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
