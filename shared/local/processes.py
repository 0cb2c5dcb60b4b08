"""Child processes that end with their parent: the private Redis server, API and worker."""

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from driftgauge.shared.errors import DriftgaugeError

PR_SET_PDEATHSIG = 1
STARTTIME = 18
"""Place of a process's start after its state in /proc/PID/stat: field 22 of proc(5)."""


def start(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that writes its output to a file.

    It does not receive the Ctrl-C of this process. On Linux it is ended if this process is killed.

    Parameters
    ----------
    log
        File that the output is appended to.
    environment
        Environment variables; None passes on those of this process.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            start_new_session=True,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  no threads yet
        )


def stop(process: subprocess.Popen[bytes], patience_s: float = 10.0) -> None:
    """End a process by SIGTERM, and by SIGKILL if it has not ended in time.

    Parameters
    ----------
    patience_s
        Seconds between the two.
    """
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    name: str,
    log: Path,
    patience_s: float = 60.0,
) -> None:
    """Wait until a started process is ready.

    Parameters
    ----------
    ready
        Returns whether the process is ready.
    name
        Name of the process, for the error.
    log
        File with the output of the process.
    patience_s
        Longest wait, in seconds.

    Raises
    ------
    DriftgaugeError
        If the process has ended, or is not ready in time; the message quotes its last output.
    """
    deadline = time.monotonic() + patience_s
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            stop(process)
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise DriftgaugeError(
                f"{name} did not start (exit code {process.returncode}). Its last output:\n{tail}"
            )
        time.sleep(0.02)


def started_at(pid: int) -> str | None:
    """Return when a process started, as its system writes it; None if there is no such process.

    Together with its id it names a process for good: ids are given again.
    """
    if sys.platform == "linux":
        try:
            state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if state in "ZX" else fields[STARTTIME]
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    return told.stdout.strip() or None


def free_port(wanted: int, host: str = "127.0.0.1") -> int:
    """Return the wanted port, or the next free one.

    Raises
    ------
    DriftgaugeError
        If the next 1,000 ports are in use, too.
    """
    return next(_free_ports(wanted, host))


@contextmanager
def reserved_port(wanted: int, host: str) -> Iterator[int]:
    """Reserve the wanted port, or the next one that is free and reserved by no other process of
    this user.

    A server takes seconds to listen, and meanwhile its port looks free: two deployments that start
    together would choose the same one.

    Raises
    ------
    DriftgaugeError
        If the next 1,000 ports are in use, too.
    """
    for port in _free_ports(wanted, host):
        path = Path(tempfile.gettempdir()) / f"driftgauge-{os.getuid()}-{port}.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        try:
            yield port
        finally:
            os.close(lock)
        return


def _free_ports(wanted: int, host: str) -> Iterator[int]:
    """Yield the ports from the wanted one upwards on which nobody listens; DriftgaugeError after
    1,000.
    """
    for port in range(wanted, min(wanted + 1000, 65536)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        yield port
    raise DriftgaugeError(f"No free port from {wanted} upwards; choose another with --port.")


def end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
