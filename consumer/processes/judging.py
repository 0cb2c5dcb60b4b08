"""The process that judges, as the one that counts sees it: started beside it, started again when it
ends by itself, asked how it stands, and ended with it.

Neither can lose anything of the other: each owns its stages by their leases, and commits them
itself. If this process is killed, a new one takes its leases when they have run out; if the one
that counts is killed, the line between them is closed, and this one ends.
"""

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from driftgauge.consumer.metrics.told import Told
from driftgauge.consumer.processes.attending import HEAD_BYTES
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.unpacking import UNREADABLE

LOOK_S: Final = 0.1
"""Time (s) between two looks at whether it runs."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Pauses (s) before it is started again, each twice as long as the one before."""
STEADY_S: Final = 60.0
"""Time (s) that it must have run for the pauses to begin anew."""
PATIENCE_S: Final = 50.0
"""Longest time (s) that is given to its stages to commit at the end."""
ANSWER_S: Final = 1.0
"""Longest time (s) that an answer is waited for; one that is younger is told again."""

log = logging.getLogger("driftgauge.worker")


class JudgingProcess:
    """Starts the process that judges, and looks after it.

    Parameters
    ----------
    worker
        Name of the worker among all; both processes have it.

    Attributes
    ----------
    refused
        Exit code of one that could not work with its settings; None if none ended so.
    pid
        Its process id; 0 before it was started.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._received = b""
        self._asked = 0
        self._told: Told | None = None
        self._told_at = -ANSWER_S
        self.refused: int | None = None

    @property
    def pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    @contextmanager
    def kept(self, stop: threading.Event) -> Iterator[None]:
        """Keep it running, from a thread, until the context ends or `stop` is set; then end it."""
        thread = threading.Thread(target=self._keep, args=(stop,), name="judging process")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _keep(self, stop: threading.Event) -> None:
        """Start it, and again when it ends. One that refuses its settings stops all."""
        pause_s = FIRST_PAUSE_S
        while not stop.is_set():
            begun = time.monotonic()
            process = self._start()
            while process.poll() is None and not stop.wait(LOOK_S):
                pass
            if process.returncode == ConfigurationError.exit_code:
                self.refused = process.returncode
                stop.set()
            if stop.is_set():
                break
            if time.monotonic() - begun > STEADY_S:
                pause_s = FIRST_PAUSE_S
            log.error(
                "The process that judges ended by itself (exit code %d); it is started again in "
                "%g s, and goes on where it stopped",
                process.returncode,
                pause_s,
            )
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        self._end()

    def _start(self) -> "subprocess.Popen[bytes]":
        ours, theirs = socket.socketpair()
        ours.settimeout(ANSWER_S)
        beside = f"{theirs.fileno()}:{self._worker}"
        command = [sys.executable, "-m", "driftgauge", "worker", "--beside", beside]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),))
        theirs.close()
        with self._lock:
            self._hang_up()
            self._process, self._line, self._received = process, ours, b""
        return process

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            log.error("The process that judges does not end; it is killed")  # noqa: TRY400  that is all
            process.kill()
            process.wait()
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def told(self) -> Told | None:
        """Return how it stands; None if it does not run, or does not answer."""
        with self._lock:
            if time.monotonic() - self._told_at >= ANSWER_S:
                self._told = self._answer()
                self._told_at = time.monotonic()
            return self._told

    def _answer(self) -> Told | None:
        """Ask, and read the answers until that to this question: earlier ones came too late."""
        if self._line is None:
            return None
        self._asked = (self._asked + 1) % 256
        until = time.monotonic() + ANSWER_S
        try:
            self._line.sendall(bytes([self._asked]))
            while time.monotonic() < until:
                size = HEAD_BYTES + int.from_bytes(self._received[1:HEAD_BYTES], "big")
                if len(self._received) >= max(size, HEAD_BYTES):
                    packed, self._received = self._received[:size], self._received[size:]
                    if packed[0] == self._asked:
                        return msgspec.msgpack.decode(packed[HEAD_BYTES:], type=Told)
                    continue
                part = self._line.recv(1 << 16)
                if not part:
                    break
                self._received += part
        except (OSError, *UNREADABLE):  # it does not answer, or has ended: it is told as that
            pass
        return None
