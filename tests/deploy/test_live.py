"""Debian's Prometheus scrapes a demo that runs, and every expression of every board and rule gives
data by its HTTP API: first of a model that drifts, then of faults that the test makes.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.deploy.asked import Asked, of_boards, of_rules
from tests.deploy.bank import MODEL, Bank
from tests.deploy.prometheus import Prometheus

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find the processes"),
]
RATE = 200
PATIENCE_S = 300.0
CHOSEN = {"model": MODEL, "version": ".*", "feature": ".*", "metric": "accuracy"}
SHORT = {"__rate_interval": "10s", "__range": "5m"}
"""What Grafana fills in, for a scrape each second."""


class Seen:
    """A demo, the Prometheus that scrapes it, and which expressions have given data."""

    def __init__(self, bank: Bank, prometheus: Prometheus) -> None:
        self.bank = bank
        self.prometheus = prometheus
        self.started = time.time()
        self.pending = [*of_boards(), *of_rules()]
        self.found: dict[Asked, list[dict[str, Any]]] = {}

    def look(self) -> None:
        """Ask for everything that has given nothing yet."""
        for asked in self.pending:
            series = self.prometheus.query(asked.filled({**CHOSEN, **SHORT}))
            if series:
                self.found[asked] = series
        self.pending = [asked for asked in self.pending if asked not in self.found]

    def until(self, done: Callable[["Seen"], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not done(self) and time.monotonic() < deadline:
            self.look()
            time.sleep(0.5)

    @property
    def waits_for(self) -> list[str]:
        return [asked.where for asked in self.pending]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folders = [tmp_path_factory.mktemp(name) for name in ("bank", "prometheus")]
    with Bank(folders[0]) as bank, Prometheus(folders[1], {"driftgauge": [bank.api]}) as prometheus:
        yield Seen(bank, prometheus)
