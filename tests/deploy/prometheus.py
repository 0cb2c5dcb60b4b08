"""Debian's Prometheus and its promtool: a server of our own with the deployed configuration, and
what its HTTP API says.
"""

import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
import yaml

from driftgauge.shared.local import processes
from tests.places import ROOT

DEPLOYED = ROOT / "deploy" / "prometheus"
FIRST_PORT = 19_100
PATIENCE_S = 60.0


def required(program: str) -> str:
    """Return the path of a program of Debian's package; without it the test is skipped, but in CI
    it fails.
    """
    found = shutil.which(program) or ""
    if not found:
        told = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        told(f"NO TEST OF BOARDS AND RULES: {program} is not on PATH (apt-get install prometheus)")
    return found


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [required("promtool"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


class Prometheus:
    """A context in which a Prometheus scrapes the given addresses every two seconds and evaluates
    the deployed rules.

    Parameters
    ----------
    targets
        Addresses (`host:port`) by the name of the job that scrapes them; every deployed job has
        some.
    """

    def __init__(self, folder: Path, targets: dict[str, list[str]]) -> None:
        self._folder = folder
        self._config = self._configured(targets)
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = required("prometheus")
        with self._stack:
            port = self._stack.enter_context(processes.reserved_port(FIRST_PORT, "127.0.0.1"))
            self._http = self._stack.enter_context(
                httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=PATIENCE_S)
            )
            log = self._folder / "prometheus.log"
            options = {
                "config.file": self._config,
                "storage.tsdb.path": self._folder / "data",
                "web.listen-address": f"127.0.0.1:{port}",
            }
            process = processes.start(
                [program, *(f"--{name}={value}" for name, value in options.items())], log
            )
            self._stack.callback(processes.stop, process)
            processes.wait_until(self._answers, process, "Prometheus", log, PATIENCE_S)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _configured(self, targets: dict[str, list[str]]) -> Path:
        config = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "2s", "evaluation_interval": "2s"}
        config["rule_files"] = [str(DEPLOYED / name) for name in config["rule_files"]]
        assert {job["job_name"] for job in config["scrape_configs"]} == set(targets)
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": targets[job["job_name"]]}]
        path = self._folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        return path

    def _answers(self) -> bool:
        try:
            return self._http.get("/status/runtimeinfo").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _ask(self, path: str, **parameters: str | float) -> Any:
        answer = self._http.get(path, params=parameters)
        assert answer.status_code == httpx.codes.OK, f"{parameters}: {answer.text}"
        return answer.json()["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression gives now; a scalar is one without labels."""
        data = self._ask("/query", query=expression)
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        return list(data["result"])

    def query_range(self, expression: str, start: float, end: float, step: float) -> Any:
        """Return the series that an expression gives over a time, as a board would draw them."""
        found = self._ask("/query_range", query=expression, start=start, end=end, step=step)
        return found["result"]

    def formatted(self, expression: str) -> str:
        """Return an expression as Prometheus writes it, which parses it."""
        return str(self._ask("/format_query", query=expression))

    def label_values(self, label: str, metric: str) -> list[str]:
        """Return the values of a label, as a variable of a board would offer them."""
        return list(self._ask(f"/label/{label}/values", **{"match[]": metric}))

    def rules(self) -> list[dict[str, Any]]:
        """Return every loaded rule with its health."""
        return [rule for group in self._ask("/rules")["groups"] for rule in group["rules"]]
