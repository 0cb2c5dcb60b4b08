"""All that API, worker, bridge and commands ask of Redis: real processes, each by a line and a user
of its own.
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import redis
from click.testing import CliRunner

from benchmarks.odd_requests import Route
from driftgauge.__main__ import cli
from driftgauge.consumer.bridging.decoding import decode_json
from driftgauge.consumer.bridging.kafka import KafkaBridge
from driftgauge.consumer.stages import checksum
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.reading import proposals
from driftgauge.shared.backup import slot
from driftgauge.shared.connections.redis_client import connect, connect_async
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import FORMAT_FIELD, OLDEST_FORMAT, Keys
from driftgauge.shared.local import deployment, processes
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.rights.table import Role
from driftgauge.shared.settings import Settings
from tests.consumer.bridging.test_kafka import Kafka
from tests.consumer.notifying.sink import Received, Reply, Sink
from tests.integration.plant import wait_for
from tests.producer.conftest import GOOD, SCHEMA, api_process, publish, rows
from tests.producer.linear import Linear
from tests.producer.replication import Instance

MODEL = "linear"
VERSION = "2.0.0"
REFERENCES = f"/models/{MODEL}/versions/{VERSION}/references"
SPACING_MS = 60_000
"""Logical time between two events, in ms."""
PART = 1000
NOWHERE = "http://127.0.0.1:9"
PATIENCE_S = 60


class Exercise:
    """A deployment in which everything happens once.

    Parameters
    ----------
    urls
        Address of Redis of each role.
    servers
        The primary and its replica, as somebody who may do everything.
    sink
        Where notifications go.
    """

    def __init__(
        self,
        folder: Path,
        keys: Keys,
        urls: Mapping[Role, str],
        servers: tuple[Instance, Instance],
        sink: Sink,
    ) -> None:
        self.folder, self.keys, self.urls, self.sink = folder, keys, urls, sink
        self.primary, self.replica = servers
        self.admin: redis.Redis = self.primary.client
        self.log = keys.log(MODEL, 0)
        registry = ModelRegistry(folder / "registry")
        for factor in (2, 3):
            publish(registry, MODEL, SCHEMA, rows(), Linear(factor, 1), labels=True)
        self.policy = folder / "policy.toml"
        self._write_policy("told", "refused")
        self.settings = Settings(
            key_prefix=keys.prefix,
            registry_dir=folder / "registry",
            data_dir=folder / "data",
            reports_dir=folder / "reports",
            archive_url=str(folder / "archive"),
            archive_seconds=0.5,
            policy_file=self.policy,
            ack_timeout_ms=1000,
            publish_mode="replicated",
            lease_ms=900,
            commit_ms=20,
            pane_events=100,
            window_events=500,
            min_window_rows=100,
            min_reference_rows=100,
            snapshot_events=500,
            expected_events_per_day=1440,
            watchdog_seconds=0.3,
            refused_per_hour=0,
            retrain_command=("true",),
            rollback_command=("true",),
        )

    def run_briefly(self) -> None:
        """What every deployment does: predictions, labels, an alert, a report, commands, a page."""
        self.sink.answering = _answer
        with self.api() as http:
            self.log_events(http, 0)
            with self.worker():
                self.log_events(http, PART)
                self.predict(http)
                self.label(http)
                self.be_wrong(http)
                self.follow_an_incident(http)
                _ok(http.get("/metrics"))
                assert http.get(f"/dashboard/models/{MODEL}").is_success

    def run(self, routes: list[Route]) -> None:
        """Let everything happen; read all of these routes of the API."""
        self.sink.answering = _answer
        with self.api() as http, self.api():
            self.log_events(http, 0)  # before a worker is there
            with self.worker():
                self.counted(PART)
                self.log_events(http, PART)
                self.counted(2 * PART)
                self.predict(http)
                self.label(http)
                self.exchange(http)
                self.be_wrong(http)
                values = self.follow_an_incident(http)
                self.change_reference(http)
                read_all(http, routes, values)
                _ok(http.get("/predictions", params={"model": MODEL, "format": "parquet"}))
                self.be_without_a_replica(http)
                self.ask(str(http.base_url))
                self.erase()
                self.lose_versions()
                self._write_policy("told")
                wait_for(lambda: self.admin.smembers(self.keys.routes) == {b"told"}, "one route")
            self.withdraw()
            self.come_back(http)
        self.ask(NOWHERE)
        self.bridge()
        self.purge()
        self.keep()

    # -- what runs ---------------------------------------------------------------------------------

    def of(self, role: Role, **more: Any) -> Settings:
        """Return the settings of a role's processes."""
        return self.settings.model_copy(update={"redis_url": self.urls[role], **more})

    @contextmanager
    def api(self) -> Iterator[httpx.Client]:
        with (
            api_process(self.of("api"), self.folder) as (url, _),
            httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as http,
        ):
            yield http

    @contextmanager
    def worker(self) -> Iterator[None]:
        command = [sys.executable, "-m", "driftgauge", "worker"]
        environment = deployment.environment(self.of("worker"))
        process = processes.start(command, self.folder / "worker.log", environment)
        try:
            yield
        finally:
            processes.stop(process)

    def command(self, *arguments: str, url: str = NOWHERE, role: Role = "operator") -> None:
        environment = deployment.environment(self.of(role, api_url=url))
        done = CliRunner().invoke(cli(), list(arguments), env=environment)
        assert isinstance(done.exception, SystemExit | None), (arguments, done.exception)
        assert "NOPERM" not in done.output

    def _write_policy(self, *routes: str) -> None:
        form = '[[routes]]\nname = "{0}"\ntarget = {{ type = "webhook", url = "{1}/{0}" }}\n'
        new = self.policy.with_suffix(".new")
        new.write_text("".join(form.format(name, self.sink.address) for name in routes))
        new.replace(self.policy)

    def counters(self) -> Counters:
        packed: Any = self.admin.hget(self.keys.count(MODEL, 0), "counters")
        return msgspec.json.decode(packed, type=Counters) if packed else Counters()

    def counted(self, events: int) -> None:
        wait_for(lambda: self.counters().events >= events, f"{events} events", PATIENCE_S)

    # -- what happens ------------------------------------------------------------------------------

    def predict(self, http: httpx.Client) -> None:
        """A row, a batch, and the protocol of open inference."""
        _ok(http.post("/predict", json={"features": GOOD, "id": "mine"}))
        _ok(http.post("/predict_batch", json=[GOOD]))
        tensor = {"name": "rows", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}
        _ok(http.post(f"/v2/models/{MODEL}/infer", json={"inputs": [tensor]}))

    def log_events(self, http: httpx.Client, first: int) -> None:
        """Events of a day and a half up to now, the second half of them drifted."""
        start_ms = int(time.time() * 1000) - (2 * PART + 10 - first) * SPACING_MS
        values = np.random.default_rng(first).normal(4.0 * bool(first), 1, (PART, 2)).tolist()
        _ok(http.post("/events", json=[_event(start_ms, *one) for one in enumerate(values)]))

    def label(self, http: httpx.Client) -> None:
        """A label behind its prediction, and one before it."""
        labels = [{"prediction_id": name, "label": 4.0} for name in ("mine", "early")]
        _ok(http.post("/labels", json=labels))
        wait_for(lambda: self.counters().labels.joined == 1, "a label")
        early = f"{self.keys.prefix}:*:early:*"
        wait_for(lambda: self.admin.keys(early), "a label without a prediction")
        _ok(http.post("/predict", json={"features": GOOD, "id": "early"}))
        wait_for(lambda: self.counters().labels.joined == 2, "its prediction")

    def exchange(self, http: httpx.Client) -> None:
        """The two halves of an exchange, one committed before the other comes."""
        for part, body in (
            ("request", {"instances": [[1, 2]]}),
            ("response", {"predictions": [4]}),
        ):
            headers = {"Ce-Id": "one", "Ce-Source": "/", "Ce-Specversion": "1.0"}
            headers["Ce-Type"] = f"org.kubeflow.serving.inference.{part}"
            headers["Ce-Inferenceservicename"] = MODEL
            _ok(http.post("/cloudevents", json=body, headers=headers))
            waiting = int(part == "request")
            wait_for(lambda: self.counters().exchanges.waiting == waiting, part)  # noqa: B023  now

    def be_wrong(self, http: httpx.Client) -> None:
        """Events and labels that the API refuses, and an entry that is none."""
        assert http.post("/events", json=[{"features": {"x": "no"}}] * 20).is_client_error
        assert http.post("/labels", json={"prediction_id": "mine", "label": "no"}).json()[
            "rejected"
        ]
        self.admin.xadd(self.log, {"t": "p", "p": "x", "s": "1", "e": "{"})
        wait_for(lambda: self.counters().dead, "a dead letter")

    def follow_an_incident(self, http: httpx.Client) -> dict[str, str]:
        """An incident opens, is told, has a report, and is acknowledged; return what names it."""
        incident = wait_for(lambda: self._acknowledged(http), "an incident")
        alerts = wait_for(lambda: _ok(http.get("/alerts", params={"model": MODEL}))["alerts"], "it")
        fingerprint = alerts[0]["data"]["fingerprint"]
        wait_for(self._blind, "an alert of the watchdog")
        wait_for(lambda: self.admin.xlen(self.keys.route_dead("refused")), "a refused message")
        reports = wait_for(
            lambda: _ok(http.get("/reports", params={"model": MODEL}))["reports"], "a report"
        )
        return {
            "model": MODEL,
            "version": VERSION,
            "incident": incident,
            "fingerprint": fingerprint,
            "report": reports[0]["id"],
            "publisher": "somebody",
            "name": "alert",
        }

    def _acknowledged(self, http: httpx.Client) -> str:
        """Acknowledge an open incident; return its id. Those of the watchdog cannot be."""
        for name in self.admin.hkeys(self.keys.open_incidents(MODEL)):
            path = f"/incidents/{name.decode()}"
            if http.post(f"{path}/acknowledge", json={"note": "seen"}).is_success:
                return name.decode()
        return ""

    def _blind(self) -> bool:
        memory: Any = self.admin.hget(self.keys.watchdog(MODEL), "memory")
        return bool(memory and msgspec.json.decode(memory).get("firing"))

    def change_reference(self, http: httpx.Client) -> None:
        """A new reference, made by a worker, and back."""
        _ok(http.post(REFERENCES, json={"window": "3d", "reason": "rebuilt"}))
        _ok(http.post(f"{REFERENCES}/undo", json={"reason": "too early"}))

    def be_without_a_replica(self, http: httpx.Client) -> None:
        """The API holds events until a replica confirms them."""
        held = self.keys.held(MODEL)
        self.replica.lead()
        http.post("/predict", json={"features": GOOD, "id": "unconfirmed"})
        wait_for(lambda: self.admin.hlen(held), "events that are held")
        self.replica.follow(self.primary.port)
        wait_for(lambda: not self.admin.hlen(held), "a replica that has them", PATIENCE_S)

    def ask(self, url: str) -> None:
        """The commands that read Redis, with an API or without."""
        for command in (["status"], ["doctor"], ["backtest", MODEL], ["notify", "list"]):
            self.command(*command, url=url)

    def lose_versions(self) -> None:
        """The API publishes again what is gone."""
        self.admin.delete(self.keys.versions(MODEL), self.keys.models)
        wait_for(lambda: self.admin.exists(self.keys.versions(MODEL), self.keys.models) == 2, "it")

    def withdraw(self) -> None:
        """A request for a reference that no worker takes is withdrawn."""

        async def ask() -> None:
            async with connect_async(self.urls["api"]) as client:
                await proposals.proposed_reference(client, self.keys, MODEL, VERSION, 1000)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(proposals, "TAKEN_S", 0.0)
            with pytest.raises(Problem, match="No worker"):
                asyncio.run(ask())

    def come_back(self, http: httpx.Client) -> None:
        """A worker finds panes of a stranger, and a log that was deleted."""
        events, dead = self.counters().events, self.admin.xlen(self.keys.dead(MODEL, 0))
        self.admin.xadd(self.keys.panes(MODEL, 0), {"x": "y"})
        self.admin.delete(self.log)
        with self.worker():
            wait_for(lambda: self.admin.xlen(self.keys.dead(MODEL, 0)) > dead, "the stranger's")
            _ok(http.post("/predict", json={"features": GOOD, "id": "later"}))
            self.counted(events + 1)

    def bridge(self) -> None:
        """Another log, into a Redis that has lost its versions; and the lease of another bridge."""
        self.admin.delete(self.keys.versions(MODEL), self.keys.models)
        kafka = Kafka()
        kafka.send("scores", [json.dumps({**GOOD, "prediction": 5, "id": "k"}).encode()])
        config, topics = {"bootstrap.servers": kafka.brokers}, {"scores": "predictions"}
        stop = threading.Event()
        settings = self.of("bridge", lease_ms=5000)
        KafkaBridge(settings, MODEL, config, topics, decode_json, stop).run(until_end=True)
        owned = [self.keys.bridge(MODEL, 0, "other", part) for part in ("", "owner", "epoch")]
        self.admin.set(owned[1], "another")
        with connect(self.urls["bridge"]) as client:
            assert not Checkpoint(client, *owned, lease_ms=5000).acquire()
        self.admin.delete(owned[1])

    def erase(self) -> None:
        """Predictions with what belongs to them, of the archive and Redis, while all goes on."""
        given = ("--id", "mine", "--text", "content cannot be read", "--reason", "asked for")
        self.command("erase", MODEL, *given, role="keeper")
        assert not self.admin.xlen(self.keys.dead(MODEL, 0))
        assert "mine" not in repr(self.admin.xrange(self.log))

    def purge(self) -> None:
        """References by hand, and the end of a version."""
        self.command("reference", "accept", MODEL, "--reason", "rebuilt", "--window", "3d")
        self.command("reference", "list", MODEL)
        self.command("reference", "publish", MODEL)
        self.command("reference", "undo", MODEL, "--reason", "no")
        self.command("models", "rollback", MODEL, "--reason", "no")
        self.command("models", "purge", MODEL, VERSION, "--reason", "asked for")
        assert not self.admin.hkeys(self.keys.current(MODEL))

    def keep(self) -> None:
        """A backup under leases, since all is in use; its return; a checkpoint of a format of old,
        without a checksum.
        """
        self.admin.xgroup_create(self.log, "theirs", id=0)
        self.admin.xreadgroup("theirs", "one", {self.log: ">"}, count=1)
        self.admin.delete(self.keys.watchdog(MODEL))
        file = str(self.folder / "all.backup")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(slot, "FREE_ATTEMPTS", 0)
            self.command("backup", file, role="keeper")
        self.command("restore", file, "--replace", role="keeper")
        self.admin.hset(self.keys.judge(MODEL), FORMAT_FIELD.decode(), OLDEST_FORMAT)
        self.admin.hdel(self.keys.judge(MODEL), checksum.FIELD.decode())
        self.admin.set(self.keys.judge_owner(MODEL), "another")
        self.command("migrate", role="keeper")
        self.admin.delete(self.keys.judge_owner(MODEL))
        self.command("migrate", role="keeper")


def read_all(http: httpx.Client, routes: list[Route], values: Mapping[str, str]) -> None:
    """Get everything that the API shows."""
    for route in routes:
        if "GET" not in route.methods or route.path.startswith("/static"):
            continue
        path = route.path.format_map(values)
        for query in ({}, {"model": MODEL}):
            if path.endswith(("/stream", "/dashboard/events")):
                with suppress(httpx.ReadTimeout), http.stream("GET", path, timeout=0.3) as answer:
                    next(answer.iter_lines(), "")
            else:
                assert http.get(path, params=query).status_code < 500, path


def _answer(got: Received) -> Reply:
    return Reply(status=404 if got.path == "/refused" else 200)


def _ok(answer: httpx.Response) -> Any:
    assert answer.is_success, (answer.request.url, answer.text)
    return answer.json() if "json" in answer.headers["content-type"] else answer.text


def _event(first_ms: int, place: int, values: tuple[float, float]) -> dict[str, Any]:
    return {
        "features": dict(zip("xy", values, strict=True)),
        "prediction": values[0] + values[1],
        "time": first_ms + SPACING_MS * place,
        "id": f"{first_ms}-{place}",
    }
