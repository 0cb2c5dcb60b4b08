"""Real processes of ours in a tenth of the time: a process that has imported API and worker forks
itself for each one, since importing them takes longer than most tests that need one.

A forked process has its own session, folder, output, environment, signals and exit code, as one
that was started by `processes.start`; it only finds its modules imported. Linux only, and only for
`python -m` with a module of ours in an interpreter set up like ours; everything else is started as
ever. A command that starts API and worker itself, such as the demo, has a server of its own.
"""

import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Self, TypeVar

from driftgauge.shared.local import processes
from tests.places import ROOT

T = TypeVar("T")

MODULES = (
    "click",
    "driftgauge.shared.telemetry",
    "driftgauge.producer.commands.serve",
    "driftgauge.producer.server",
    "driftgauge.consumer.commands.worker",
    "driftgauge.consumer.worker",
    "joblib",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.lifespan.on",
    "uvloop",
    "tests.producer.linear",
)
"""What API and worker import, and the models that most tests serve."""
OURS = ("driftgauge", "benchmarks", "tests")
"""Packages whose modules are forked."""
SINGLE = (["driftgauge", "serve"], ["driftgauge", "worker"], ["tests.integration.working"])
"""What starts no further process of ours."""
SET_UP = ("PYTHON", "LANG", "LC_", "OMP_", "OPENBLAS_", "MKL_", "MALLOC_", "LD_")
"""How the environment variables begin that an interpreter or a library reads once, at its start."""
MOST = 1 << 18
"""Most bytes of a request: arguments and environment."""


class Forked(subprocess.Popen[bytes]):
    """A process that the server has forked, as its starter knows it."""

    def __init__(self, command: Sequence[str], pid: int, ended: socket.socket) -> None:
        self._child_created = False  # it is the server that waits for it
        self.args = command
        self.pid = pid
        self.returncode: int | None = None
        self.stdin = self.stdout = self.stderr = None
        self._ended = ended
        self._looking = threading.Lock()  # threads of a test may wait for the same process

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def _look(self, timeout: float | None) -> int | None:
        until = None if timeout is None else time.monotonic() + timeout
        if self.returncode is None and self._looking.acquire(timeout=_rest(until, -1)):
            try:
                self._read(_rest(until, None))
            finally:
                self._looking.release()
        return self.returncode

    def _read(self, timeout: float | None) -> None:
        if self.returncode is not None:
            return
        self._ended.settimeout(timeout)
        with suppress(BlockingIOError, TimeoutError):
            told = self._ended.recv(16)
            self._ended.close()
            assert told, "the fork server has ended"
            self.returncode = int(told)


def _rest(until: float | None, never: T) -> float | T:
    """Return what is left (s) of the time until a moment."""
    return never if until is None else max(0.0, until - time.monotonic())


class ForkServer:
    """A context in which processes are forked; the server starts at the first use.

    Parameters
    ----------
    control
        Leads to a server that runs already.
    """

    def __init__(self, control: socket.socket | None = None) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control = control
        self._set_up = _set_up(os.environ)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._control is not None:
            self._control.close()  # it ends then, and what it has forked
            self._process.wait(60)

    def start(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Do what `processes.start` does, and fork where that is the same."""
        with log.open("ab") as output:
            return self.popen(command, output, output, environment)

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 800,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, with what it printed, as `subprocess.run` does."""
        with TemporaryFile() as output, TemporaryFile() as errors:
            process = self.popen(command, output, errors, environment, cwd)
            try:
                code = process.wait(timeout)
            finally:
                process.kill()
            said = []
            for file in (output, errors):
                file.seek(0)
                said.append(file.read().decode())
        return subprocess.CompletedProcess(command, code, *said)

    def popen(
        self,
        command: Sequence[str],
        output: IO[bytes],
        errors: IO[bytes],
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process that writes to files, and ends with this one; fork where that is the
        same.
        """
        given = {**(os.environ if environment is None else environment)}
        ours = [*command[:2]] == [sys.executable, "-m"] and command[2].split(".")[0] in OURS
        if sys.platform != "linux" or not ours or not self._is_set_up(given):
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=given,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=processes.end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  as there
            )
        assert self._control is not None
        here, there = socket.socketpair()
        with there:
            request = [*command[2:]], given, str(cwd or Path.cwd())
            fds = [output.fileno(), errors.fileno(), there.fileno()]
            socket.send_fds(self._control, [json.dumps(request).encode()], fds)
            return Forked(command, int(self._control.recv(16)), here)

    def _is_set_up(self, environment: Mapping[str, str]) -> bool:
        if self._control is None:
            self._begin()
        return _set_up(environment) == self._set_up

    def _begin(self) -> None:
        self._set_up = _set_up(os.environ)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
            )


def _set_up(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(SET_UP)}


FORKS = ForkServer()
"""That of this process of tests."""


# -- the server's process ------------------------------------------------------------------------


class Server:
    """Forks at each request, and tells whoever asked when and how that process ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._asked: dict[int, socket.socket] = {}
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)

    def run(self) -> list[str] | None:
        """Return None when nobody will ask any more; in a forked process, its arguments."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno())
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    self._woken.recv(4096)
                    self._tell()
                if self._control in ready:
                    request, fds, *_ = socket.recv_fds(self._control, MOST, 3)
                    if not request:
                        return None
                    arguments = self._forked(request, *fds)
                    if arguments is not None:
                        return arguments

    def _tell(self) -> None:
        while self._asked:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._asked.pop(pid) as asked, suppress(OSError):  # who asked has gone
                asked.send(str(os.waitstatus_to_exitcode(status)).encode())

    def _forked(self, request: bytes, output: int, errors: int, asked: int) -> list[str] | None:
        parent, pid = os.getpid(), os.fork()
        if pid:
            os.close(output)
            os.close(errors)
            self._asked[pid] = socket.socket(fileno=asked)
            self._control.send(str(pid).encode())
            return None
        os.setsid()
        _end_with(parent)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(output, 1)
        os.dup2(errors, 2)
        for number in (output, errors, asked):
            os.close(number)
        for one in (self._control, self._waker, self._woken, *self._asked.values()):
            one.close()
        arguments, environment, folder = json.loads(request)
        os.environ.clear()
        os.environ.update(environment)
        time.tzset()
        os.chdir(folder)
        sys.path[0] = folder
        return [*arguments]


def _end_with(parent: int) -> None:
    processes.end_with_parent()
    if os.getppid() != parent:  # it ended in between
        sys.exit(1)


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in MODULES:
        import_module(name)
    assert len([*Path("/proc/self/task").iterdir()]) == 1, "a process with threads cannot be forked"
    gc.collect()
    gc.freeze()  # its pages stay shared
    _serve(control)


def _serve(control: socket.socket) -> None:
    """Fork until nobody will ask any more; in a forked process, run what was asked for."""
    arguments = Server(control).run()
    if arguments is None:
        return
    if not any(arguments[: len(single)] == single for single in SINGLE):
        vars(processes)["start"] = ForkServer(_nested()).start
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


def _nested() -> socket.socket:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent, pid = os.getpid(), os.fork()
    if not pid:
        here.close()
        _end_with(parent)
        _serve(there)
        sys.exit()
    there.close()

    def end() -> None:
        here.close()
        os.waitpid(pid, 0)

    atexit.register(end)
    return here


if __name__ == "__main__":
    _main()
