"""What goes wrong in a deployment when a test says so, and the alerts that it must raise."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract import counters
from tests.deploy.bank import MODEL, Bank


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, while it is in force.

    Parameters
    ----------
    posts
        True if events come meanwhile.
    alerts
        What it must raise.
    """

    making: Callable[[Bank], AbstractContextManager[None]]
    posts: bool
    alerts: set[str]


def refuse(bank: Bank) -> None:
    """Post events and labels that do not fit the schema."""
    bank.send("/events", [{"features": {"income": "much"}, "prediction": 1}] * 10)
    bank.send("/labels", [{"prediction_id": "loan-1", "label": None}] * 10)


@contextmanager
def spoiled(bank: Bank) -> Iterator[None]:
    """Write entries that cannot be read into the log, and one of a publisher whose earlier ones
    are missing.
    """
    log = bank.keys.log(MODEL, 0)
    for _ in range(20):
        bank.client.xadd(log, {"t": "p", "p": "other", "s": "x", "e": "{"})
    entries: Any = bank.client.xrevrange(log, count=1000)
    (known, *_) = [fields[b"e"] for _, fields in entries if fields.get(b"t") == b"p"]
    for number in (1, 9):
        bank.client.xadd(log, {"t": "p", "p": "other", "s": number, "e": known})
    yield


@contextmanager
def unplugged(bank: Bank) -> Iterator[None]:
    """Let Redis be away: nobody finds its socket, and every connection is cut."""
    socket = bank.deployment.settings.data_dir / "redis" / "redis.sock"
    aside = socket.with_suffix(".aside")
    socket.rename(aside)
    with connect(f"unix://{aside}") as client:
        client.client_kill_filter(_type="normal")
    yield
    aside.rename(socket)


@contextmanager
def without_worker(bank: Bank) -> Iterator[None]:
    """Let the worker stand still."""
    with _still(bank.deployment.worker):
        yield


@contextmanager
def unreadable(bank: Bank) -> Iterator[None]:
    """Let the counts of the model be unreadable."""
    key, field = bank.keys.count(MODEL, 0), counters.FIELD
    with _still(bank.deployment.worker):
        kept: Any = bank.client.hget(key, field)
        bank.client.hset(key, field, "{")
        yield
        bank.client.hset(key, field, kept)


@contextmanager
def without_api(bank: Bank) -> Iterator[None]:
    """Let the API stand still."""
    with _still(bank.deployment.api):
        yield


@contextmanager
def _still(process: subprocess.Popen[bytes]) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


FAULTS = (
    Fault(
        spoiled,
        posts=True,
        alerts={
            "DriftgaugeDeadLetters",
            "DriftgaugeHalfBlind",
            "DriftgaugeIncidentWarning",
            "DriftgaugeMissing",
        },
    ),
    Fault(
        unplugged,
        posts=True,
        alerts={"DriftgaugeRedisAway", "DriftgaugeSpooling", "DriftgaugeDropped"},
    ),
    Fault(without_worker, posts=True, alerts={"DriftgaugeBlind", "DriftgaugeNoWorker"}),
    Fault(unreadable, posts=False, alerts={"DriftgaugePipelineUnreadable"}),
    Fault(without_api, posts=False, alerts={"DriftgaugeApiAway"}),
)
"""In the order in which a test makes them; the last one stops what is scraped."""
