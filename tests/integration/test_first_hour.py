"""The page "The first hour with your own service", typed as it stands."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from driftgauge.shared.local.processes import reserved_port
from tests.places import ROOT

PAGE: Final = (ROOT / "docs" / "first-hour.md").read_text()
BLOCK: Final = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENDLESS: Final = ("driftgauge up", "python -m uvicorn")
"""Commands that run until Ctrl-C, in terminals of their own."""
PATIENCE_S: Final = 120
FIRST_PORT: Final = 19_700
pytestmark = pytest.mark.long


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Reader:
    """Somebody who types what the page says, in an empty folder. What they see is kept by command.

    The ports of the page are other ones, since they may be in use here.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        with reserved_port(FIRST_PORT, "127.0.0.1") as ours:  # `driftgauge up` reserves it itself
            service = stack.enter_context(reserved_port(FIRST_PORT, "127.0.0.1"))
        self.ports = {"8000": ours, "8001": service}
        self.seen: dict[str, str] = {}
        self._folder, self._stack = folder, stack
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith("DRIFTGAUGE_")
        } | {
            "DRIFTGAUGE_PORT": str(self.ports["8000"]),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    def get(self, port: str, path: str) -> httpx.Response | None:
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[port]}{path}")
        except httpx.TransportError:
            return None

    def read(self) -> None:
        for language, text in BLOCK.findall(PAGE):
            for page, port in self.ports.items():
                text = re.sub(rf"(?<=:|\s){page}\b", str(port), text)  # noqa: PLW2901  the page's own
            if language == "python":
                name = text.splitlines()[0].removeprefix("# ")
                (self._folder / name).write_text(text)
            else:
                for line in text.replace("\\\n", "").splitlines():
                    self._type(line)

    def _type(self, line: str) -> None:
        if line.startswith(ENDLESS):
            self._start(line)
            port, path = ("8000", "/livez") if line == ENDLESS[0] else ("8001", "/docs")
            until(lambda: self.get(port, path) is not None)
            return
        done = subprocess.run(  # noqa: S602  the page is typed as it stands
            line,
            shell=True,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        self.seen[line] = done.stdout
        if line.startswith("python customers.py"):
            self._wait_until_judged(line)

    def _start(self, line: str) -> None:
        output = self._stack.enter_context((self._folder / "terminals.log").open("a"))
        process = subprocess.Popen(
            line.split(), cwd=self._folder, env=self._environment, stdout=output, stderr=output
        )
        self._stack.callback(process.wait, PATIENCE_S)
        self._stack.callback(process.terminate)
        self.started = process

    def _wait_until_judged(self, line: str) -> None:
        """A reader looks again; a test waits for what is to be seen."""
        if line.endswith("feet"):
            until(lambda: bool(self.json("/incidents")["incidents"]))
        else:
            until(lambda: self.json("/drift").get("window", {}).get("events", 0) >= 750)

    def json(self, path: str) -> dict:  # type: ignore[type-arg]  as the API answers
        answer = self.get("8000", path)
        return answer.json() if answer is not None and answer.is_success else {}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with ExitStack() as stack:
        found = Reader(tmp_path_factory.mktemp("hour"), stack)
        found.read()
        yield found


def test_the_status_is_ok_before_the_fault(reader: Reader) -> None:
    """What `driftgauge status` says after the first customers is that all is well."""
    assert re.search(r"^OK +flats", reader.seen["driftgauge status"], re.MULTILINE)


def test_one_incident_names_the_broken_feature(reader: Reader) -> None:
    """`driftgauge incidents` shows one incident, which names the column in square feet."""
    (incident,) = reader.json("/incidents")["incidents"]
    assert incident["data"]["features"][0] == "area_m2"
    assert "area_m2" in reader.seen["driftgauge incidents"]


def test_true_values_find_their_predictions(reader: Reader) -> None:
    """The labels that the page sends are joined by the ids of the service's own."""
    until(lambda: reader.json("/labels?model=flats").get("joined") == 1000)


def test_the_service_needs_three_lines() -> None:
    """The marked lines of the service are as many as the page says."""
    service = next(text for _, text in BLOCK.findall(PAGE) if text.startswith("# service.py"))
    assert re.findall(r"  # (\d)$", service, re.MULTILINE) == ["1", "2", "3"]
