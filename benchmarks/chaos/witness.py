"""What the APIs said, and when: the reasons of `/readyz`, and the alerts of the watchdog.

A person would look there, and acknowledge what was lost when they have seen it. What was said is
kept outside of Redis, since a fault may delete it.
"""

import json
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import redis

from benchmarks.chaos.plant.model import keys_of
from benchmarks.chaos.plant.plant import Plant
from driftgauge.shared.contract.entry_id import BEGINNING
from driftgauge.shared.rules.base import rule_of
from driftgauge.shared.rules.monitor import BLIND

LOOK_S = 0.3
SEEN_S = 10.0
"""Time (s) after which the person acknowledges an alert of a loss."""


LOOK_AT_ALERTS_S = 2.0


@dataclass
class Saying:
    """A sentence, and the times (s, monotonic) at which it was first and last seen."""

    words: str
    first: float
    last: float


class Witness:
    """Looks again and again, in a thread.

    Parameters
    ----------
    plant
        Plant whose APIs and alerts are looked at.

    Attributes
    ----------
    sayings
        What was said, in the order in which it began.
    """

    def __init__(self, plant: Plant) -> None:
        self.sayings: list[Saying] = []
        self._plant = plant
        self._open: dict[tuple[str, str], Saying] = {}
        self._ready = [False] * len(plant.urls)
        self._seen = dict.fromkeys(plant.versions, BEGINNING)
        self._asking: dict[str, float] = {}  # alerts that wait for the person, since when
        self._asked = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def all_well(self) -> bool:
        """Whether every API was ready, and had nothing to say, when it was last looked at."""
        return all(self._ready)

    def said_now(self) -> list[str]:
        """Return the reasons that the APIs gave when they were last looked at."""
        return sorted({reason for _, reason in list(self._open)})

    def heard(self, pattern: str, since: float, until: float) -> list[Saying]:
        """Return what was said between two times and matches a pattern."""
        return [
            one
            for one in list(self.sayings)
            if one.first <= until and one.last >= since and re.search(pattern, one.words)
        ]

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            for number, url in enumerate(self._plant.urls):
                self._ready[number] = self._look_at(url)
            with suppress(redis.RedisError):
                self._read_alerts()
            self._acknowledge()

    def _look_at(self, url: str) -> bool:
        found: set[tuple[str, str]] = set()
        ready = True
        for question in ("/readyz", "/readyz?monitoring"):
            try:
                answer = httpx.get(f"{url}{question}", timeout=2, trust_env=False, verify=False)  # noqa: S501  plain HTTP
                said = answer.json()
            except (httpx.HTTPError, json.JSONDecodeError):  # it is starting
                return False
            ready = ready and said["status"] == "ready"
            found |= {(url, reason) for reason in said["reasons"]}
        for key in found:
            self._note(key)
        for key in [key for key in self._open if key[0] == url and key not in found]:
            del self._open[key]
        return ready

    def _note(self, key: tuple[str, str]) -> None:
        now = time.monotonic()
        if key in self._open:
            self._open[key].last = now
            return
        self._open[key] = Saying(key[1], now, now)
        self.sayings.append(self._open[key])

    def _read_alerts(self) -> None:
        with self._plant.client() as client:
            for model, version in self._plant.versions.items():
                after = self._seen[model]
                key = keys_of(version).alerts(model)
                found: Any = client.xrange(key, min=f"({after}" if after != BEGINNING else "-")
                for entry_id, fields in found:
                    self._seen[model] = entry_id.decode()
                    alert = json.loads(fields[b"e"])["data"]
                    rule = rule_of(alert["rule"])
                    if rule.kind == BLIND.kind:
                        now = time.monotonic()
                        words = f"{model}: {alert['rule']} {alert['state']}: {alert['summary']}"
                        self.sayings.append(Saying(words, now, now))

    def _acknowledge(self) -> None:
        """Acknowledge the alerts that have waited for it for long enough.

        They are asked of an API, as a person would see them: one that Redis lost and has again was
        not written anew.
        """
        now = time.monotonic()
        if now - self._asked < LOOK_AT_ALERTS_S:
            return
        self._asked = now
        url = self._plant.urls[0]
        with (
            suppress(httpx.HTTPError, json.JSONDecodeError, KeyError),
            httpx.Client(
                base_url=url,
                timeout=2,
                trust_env=False,
                verify=False,  # noqa: S501  plain HTTP
            ) as http,
        ):
            firing = [alert["data"] for alert in http.get("/alerts?state=firing").json()["alerts"]]
            waiting = [
                alert["fingerprint"]
                for alert in firing
                if rule_of(alert["rule"]).until_acknowledged
            ]
            self._asking = {one: self._asking.get(one, now) for one in waiting}
            for fingerprint, since in self._asking.items():
                if now - since > SEEN_S:
                    http.post(f"/alerts/{fingerprint}/acknowledge", json={"note": "seen"})
