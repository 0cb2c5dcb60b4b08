"""Debian's own Alertmanager (`prometheus-alertmanager`) on a port of loopback, asked by its own
amtool.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from driftgauge.shared.local import processes

PROGRAM: Final = "prometheus-alertmanager"
FIRST_PORT: Final = 19_300
CONFIGURATION: Final = """
route: {receiver: sink, group_by: ["..."], group_wait: 0s, group_interval: 1s}
receivers: [{name: sink, webhook_configs: [{url: "http://127.0.0.1:9/", send_resolved: true}]}]
"""


@dataclass(frozen=True)
class RunningAlertmanager:
    """One that runs."""

    address: str

    def alerts(self, *matchers: str) -> list[dict[str, Any]]:
        """Return the active alerts as amtool tells them."""
        command = ["amtool", f"--alertmanager.url={self.address}", "-o", "json", "alert", "query"]
        found = subprocess.run([*command, *matchers], check=True, capture_output=True, timeout=60)
        told: list[dict[str, Any]] = json.loads(found.stdout)
        return told


@contextmanager
def alertmanager(folder: Path) -> Iterator[RunningAlertmanager]:
    """Run one until the context ends; where it is not installed the test is skipped, and in CI it
    fails.
    """
    if shutil.which(PROGRAM) is None or shutil.which("amtool") is None:
        told = pytest.fail if "CI" in os.environ else pytest.skip
        told(f"NO ALERTMANAGER TEST: {PROGRAM} or amtool is not on PATH")
    (folder / "alertmanager.yml").write_text(CONFIGURATION)
    with processes.reserved_port(FIRST_PORT, "127.0.0.1") as port:
        yield from _run(folder, f"127.0.0.1:{port}")


def _run(folder: Path, address: str) -> Iterator[RunningAlertmanager]:
    options = {
        "config.file": folder / "alertmanager.yml",
        "storage.path": folder / "alerts",
        "web.listen-address": address,
        "cluster.listen-address": "",
    }
    log = folder / "alertmanager.log"
    process = processes.start([PROGRAM, *(f"--{name}={v}" for name, v in options.items())], log)
    try:
        processes.wait_until(lambda: _listens(address), process, "Alertmanager", log)
        yield RunningAlertmanager(f"http://{address}")
    finally:
        processes.stop(process)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True
