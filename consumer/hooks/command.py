"""A hook that is a command, which gets the incident on its standard input; its output is logged and
its time limited.
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from driftgauge.consumer.hooks import leash
from driftgauge.consumer.judging.incidents.hooks import Hook, Run, RunResult
from driftgauge.shared.settings import Settings

LINE_BYTES: Final = 2000
"""Most bytes of a logged line; longer lines are split."""
LINES: Final = 1000
"""Most lines of a run that are logged; further lines are read and dropped."""
OURS: Final = "DRIFTGAUGE_"
PASSED_ON: Final = frozenset(
    (
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "TZ",
        "TMPDIR",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
    )
)
"""Variables that a command gets beside our settings."""
SETTINGS: Final = frozenset(
    name
    for name, field in Settings.model_fields.items()
    if "SecretStr" not in str(field.annotation)
)
"""Settings that a command gets. Another variable with our prefix is none: it may be the secret of a
route, which the policy file names.
"""
POLL_S: Final = 0.1
PATIENCE_S: Final = 10.0


def run_command(
    hook: Hook,
    command: Sequence[str],
    model: str,
    run: Run,
    timeout_s: float,
    cancelled: threading.Event,
) -> RunResult:
    """Run a command to its end, to its time limit, or until cancelled.

    Parameters
    ----------
    hook
        The hook, for the log.
    command
        Program and arguments; no shell is involved.
    run
        The run: its event is the standard input, its id and attempt are in the environment
        variables DRIFTGAUGE_RETRAIN_ID and DRIFTGAUGE_RETRAIN_ATTEMPT, or of a rollback in
        DRIFTGAUGE_ROLLBACK_ID and DRIFTGAUGE_ROLLBACK_ATTEMPT.
    """
    ours = f"{OURS}{hook.setting.upper()}"
    known = {f"{ours}_ID": run.id, f"{ours}_ATTEMPT": str(run.attempt)}
    with tempfile.TemporaryFile() as event:
        event.write(run.event.encode())
        event.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", str(Path(leash.__file__)), str(os.getpid()), *command],
            stdin=event,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=inherited() | known,
        )
    assert process.stdout is not None  # noqa: S101  it is a pipe
    reader = threading.Thread(target=_log_lines, args=(process.stdout, hook, model), daemon=True)
    reader.start()
    outcome = _await(process, timeout_s, cancelled)
    reader.join(PATIENCE_S)  # a process that the command left behind may hold its output open
    return outcome


def inherited() -> dict[str, str]:
    """Return the part of our environment that a command gets: where programs and files are, the
    language, and our settings but those that are secrets. Others' secrets are not passed on either.
    """
    return {name: value for name, value in os.environ.items() if _is_passed_on(name)}


def _is_passed_on(name: str) -> bool:
    if name.startswith(OURS):
        return name.removeprefix(OURS).lower() in SETTINGS
    return name in PASSED_ON or name.startswith("LC_")


def _await(
    process: "subprocess.Popen[bytes]", timeout_s: float, cancelled: threading.Event
) -> RunResult:
    deadline = time.monotonic() + timeout_s
    while process.poll() is None:
        if cancelled.wait(POLL_S):
            _end(process)
            return RunResult(ok=False, detail="cancelled")
        if time.monotonic() > deadline:
            _end(process)
            return RunResult(ok=False, detail=f"ended after {timeout_s:g} s, its time limit")
    if process.returncode == leash.NOT_FOUND:
        return RunResult(ok=False, detail="exit code 127: not found, or not to be run; see the log")
    return RunResult(ok=process.returncode == 0, detail=f"exit code {process.returncode}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the command and its children by SIGTERM, then by SIGKILL."""
    with suppress(ProcessLookupError):  # it ended by itself meanwhile
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _log_lines(output: IO[bytes], hook: Hook, model: str) -> None:
    log, name = logging.getLogger(f"driftgauge.{hook.name}"), f"{hook.name} {model}"
    with output:
        for number, line in enumerate(iter(lambda: output.readline(LINE_BYTES), b"")):
            if number < LINES:
                log.info("%s: %s", name, line.decode(errors="replace").rstrip())
            elif number == LINES:
                log.warning("%s: further output is left out of the log", name)
