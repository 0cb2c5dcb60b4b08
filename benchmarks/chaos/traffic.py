"""Clients that post events through HTTP, and remember what they were promised.

A request with the client's own ids is sent again, to any API, until it is answered. One without ids
cannot be: when its answer is lost, whether its events are in the log is not known. Beside them,
callers ask for predictions, whose events are promised as those that are posted are.
"""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from benchmarks.chaos.plant.model import draw
from benchmarks.chaos.plant.plant import Plant
from benchmarks.chaos.plant.served import HANGING, QUICK

CLIENTS = 4
SENT_TWICE = 0.05
"""Share of the answered requests with ids that are sent again all the same."""
LARGEST = 9
"""Most events of a request."""
PATIENCE_S = 3.0
CALL_S = 0.1
"""Pause between two predictions."""
SAFE = {"published", "spooled"}


@dataclass
class Ledger:
    """The promises of the API for each event, and the events whose fate is unknown."""

    safe: list[tuple[str, str]] = field(default_factory=list)
    """Model and id of each event that was answered as published or spooled."""
    queued: int = 0
    """Events that were answered as being in memory only: no promise."""
    unknown: int = 0
    """Events without ids whose answers were lost."""
    resent: int = 0
    """Events sent again under the same id: their answers were lost."""
    sent_twice: int = 0
    """Events sent again under the same id, though they were answered."""
    refused: int = 0
    """Events that were not accepted (503); sent again."""
    spooled: int = 0
    logged: int = 0
    """Events that the client accepted in applications that were killed."""
    predicted: int = 0
    given_up: int = 0
    """Predictions of the model that hangs that were answered 503."""
    failed: list[str] = field(default_factory=list)
    """Predictions of the other model that were not answered 200."""


class Traffic:
    """Clients that post until they are stopped.

    Parameters
    ----------
    plant
        Plant whose APIs and models are used.
    seed
        Seed of the events' content.
    rate
        Most events a second, of all clients.
    with_ids
        Share of the requests with the client's own ids.
    """

    def __init__(self, plant: Plant, seed: int, rate: float, with_ids: float = 0.7) -> None:
        self.ledger = Ledger()
        self.shift = 0.0
        self._urls = plant.urls
        self._models = list(plant.monitored)
        self._rate = rate
        self._with_ids = with_ids
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._failures: list[BaseException] = []
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(f"{seed}-{number}", [seed, number]),
                name=f"client {number}",
                daemon=True,
            )
            for number in range(CLIENTS)
        ]
        if plant.predicts:
            self._threads += [
                threading.Thread(
                    target=self._call, args=(model, f"{seed}-{model}"), name=model, daemon=True
                )
                for model in (QUICK, HANGING)
            ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, patience_s: float = 60.0) -> None:
        """Stop when every request with ids is answered."""
        self._stop.set()
        for thread in self._threads:
            thread.join(patience_s)
        if self._failures:
            raise self._failures[0]
        if any(thread.is_alive() for thread in self._threads):
            raise TimeoutError("A request was not answered.")

    def _run(self, name: str, seed: list[int]) -> None:
        random = np.random.default_rng(seed)
        sent = 0
        try:
            with httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
                while not self._stop.is_set():
                    number = int(random.integers(1, LARGEST + 1))
                    self._deliver(http, random, self._request(random, number, f"{name}-{sent}"))
                    sent += 1
                    self._stop.wait(number * CLIENTS / self._rate)
        except BaseException as error:  # noqa: BLE001  raised by `stop`
            self._failures.append(error)

    def _call(self, model: str, name: str) -> None:
        """Ask for predictions of a model, one after the other."""
        random = np.random.default_rng(len(name))
        asked = 0
        try:
            with httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
                while not self._stop.is_set():
                    heat, lasting = random.normal(size=2).tolist()
                    request = {
                        "model": model,
                        "features": {"heat": heat, "time": lasting},
                        "id": f"{name}-{asked}",
                    }
                    self._predict(http, str(random.choice(self._urls)), request)
                    asked += 1
                    self._stop.wait(CALL_S)
        except BaseException as error:  # noqa: BLE001  raised by `stop`
            self._failures.append(error)

    def _predict(self, http: httpx.Client, url: str, request: dict[str, Any]) -> None:
        try:
            answer = http.post(f"{url}/predict", json=request)
        except httpx.TransportError:  # the API was killed, or is starting
            with self._lock:
                self.ledger.unknown += 1
            return
        with self._lock:
            if answer.status_code == 200:
                self.ledger.predicted += 1
                if answer.json()["event"] in SAFE:
                    self.ledger.safe.append((request["model"], request["id"]))
            elif request["model"] == HANGING and answer.status_code == 503:
                self.ledger.given_up += 1
            else:
                self.ledger.failed.append(f"{answer.status_code}: {answer.text[:200]}")

    def _request(self, random: np.random.Generator, number: int, name: str) -> list[dict[str, Any]]:
        model = str(random.choice(self._models))
        named = random.random() < self._with_ids
        now = time.time_ns() // 1_000_000
        request = []
        for place, features in enumerate(draw(random, number, self.shift)):
            event = {
                "model": model,
                "features": features,
                "prediction": float(random.normal()),
                "time": now,
            }
            if random.random() < 0.9:
                event["latency_ms"] = float(random.gamma(2, 3))
            if random.random() < 0.05:
                event["source"] = "shadow"
            if named:
                event["id"] = f"{name}-{place}"
            request.append(event)
        return request

    def _deliver(
        self, http: httpx.Client, random: np.random.Generator, request: list[dict[str, Any]]
    ) -> None:
        while True:
            try:
                answer = http.post(f"{random.choice(self._urls)}/events", json=request)
            except httpx.TransportError:
                if not self._lost(request):
                    return
                time.sleep(0.05)  # before the next attempt; the API may be starting
                continue
            if answer.status_code == 202:
                if answer.json()["rejected"]:
                    raise AssertionError(answer.text)
                self._note(request, answer.json())
                if "id" in request[0] and random.random() < SENT_TWICE:
                    self._send_twice(http, random, request)
                return
            if answer.status_code != 503:
                raise AssertionError(f"{answer.status_code}: {answer.text}")
            with self._lock:
                self.ledger.refused += len(request)
            time.sleep(0.2)

    def _lost(self, request: list[dict[str, Any]]) -> bool:
        """Note that the answer did not come; return whether the request can be sent again."""
        named = "id" in request[0]
        with self._lock:
            if named:
                self.ledger.resent += len(request)
            else:
                self.ledger.unknown += len(request)
        return named

    def _note(self, request: list[dict[str, Any]], answer: dict[str, Any]) -> None:
        with self._lock:
            if answer["event"] in SAFE:
                self.ledger.safe += [(request[0]["model"], name) for name in answer["ids"]]
                self.ledger.spooled += len(request) * (answer["event"] == "spooled")
            else:
                self.ledger.queued += len(request)

    def _send_twice(
        self, http: httpx.Client, random: np.random.Generator, request: list[dict[str, Any]]
    ) -> None:
        with suppress(httpx.TransportError):  # what it asks for was answered before
            http.post(f"{random.choice(self._urls)}/events", json=request)
        with self._lock:
            self.ledger.sent_twice += len(request)
