"""Child processes and ports."""

import os
import socket
import sys
from pathlib import Path

import pytest

from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.local import processes


def test_a_taken_port_is_passed_over() -> None:
    """The wanted port if it is free, else the next one that is."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = processes.free_port(port)
        assert found > port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", found))


def test_a_reserved_port_is_passed_over() -> None:
    """Two deployments that start together have two ports, though nobody listens yet; a port is free
    again at the end.
    """
    wanted = processes.free_port(26000 + os.getpid() % 1000)
    with processes.reserved_port(wanted, "127.0.0.1") as first:
        with processes.reserved_port(wanted, "127.0.0.1") as second:
            assert second > first
        with processes.reserved_port(second, "127.0.0.1") as third:
            assert third == second


def test_no_port_is_an_error() -> None:
    """Beyond the last port there is a message, not a number."""
    with pytest.raises(DriftgaugeError, match="No free port"):
        processes.free_port(65536)


def test_a_process_that_does_not_start_shows_its_last_words(tmp_path: Path) -> None:
    """Who cannot start says why: the last lines of its output are in the message."""
    log = tmp_path / "child.log"
    child = processes.start(
        [sys.executable, "-c", "import sys; print('no disk left'); sys.exit(3)"], log
    )
    with pytest.raises(
        DriftgaugeError, match=r"(?s)The child did not start.*exit code 3.*no disk left"
    ):
        processes.wait_until(lambda: False, child, "The child", log)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """Stopping is polite first, and certain after."""
    log = tmp_path / "child.log"
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('deaf', flush=True); time.sleep(60)"
    )
    child = processes.start([sys.executable, "-c", code], log)
    processes.wait_until(lambda: "deaf" in log.read_text(), child, "The child", log)
    processes.stop(child, patience_s=0.2)
    assert child.returncode == -9
