"""Pods as processes: what a container is told to do, with the environment and the keys that it
gets, on another port and below a folder of the test.
"""

import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx

from driftgauge.shared.local import processes
from tests.deploy.kubernetes.rendered import Resource, container, pod

FIRST_PORT = 19_500
LOOPBACK = "127.0.0.1"


class Pod:
    """The only container of a pod, from its start to its end.

    Parameters
    ----------
    workload
        What the pod is of.
    environment
        Variables of the ConfigMap and of the Secrets.
    data
        Its volume.
    prefix
        How the settings of its host and port begin.
    """

    def __init__(
        self, workload: Resource, environment: dict[str, str], data: Path, prefix: str
    ) -> None:
        self._workload = workload
        self._stack = ExitStack()
        self._port = self._stack.enter_context(processes.reserved_port(FIRST_PORT, LOOPBACK))
        self.http = self._stack.enter_context(
            httpx.Client(base_url=f"http://{LOOPBACK}:{self._port}", timeout=60)
        )
        log = data.with_suffix(".log")
        here = {
            f"DRIFTGAUGE_{prefix}HOST": LOOPBACK,
            f"DRIFTGAUGE_{prefix}PORT": str(self._port),
            "DRIFTGAUGE_DATA_DIR": str(data),
        }
        self._process: subprocess.Popen[bytes] = processes.start(
            [sys.executable, "-m", "driftgauge", *container(workload)["args"]],
            log,
            {**environment, **here},
        )
        self._stack.callback(processes.stop, self._process)
        processes.wait_until(self._ready, self._process, str(container(workload)["name"]), log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def answers(self, path: str, key: str = "") -> bool:
        """Ask it by an address, as the kubelet does; or as a scraper with its key."""
        headers = {"Host": "10.1.2.3:8000", **({"X-API-Key": key} if key else {})}
        try:
            return self.http.get(path, headers=headers).is_success
        except httpx.TransportError:
            return False

    def _ready(self) -> bool:
        probe: Any = container(self._workload)["readinessProbe"]
        return self.answers(probe["httpGet"]["path"])

    def end(self) -> None:
        """Tell it to end, as the kubelet does."""
        self._process.terminate()
        self._deadline = time.monotonic() + pod(self._workload)["terminationGracePeriodSeconds"]

    def ended(self) -> bool:
        """Tell whether it has ended; it must have ended well, before it would be killed."""
        if self._process.poll() is None:
            assert time.monotonic() < self._deadline, "it would have been killed"
            return False
        # the API's server raises the signal again when everything has ended
        assert self._process.returncode in {0, -signal.SIGTERM}
        return True
