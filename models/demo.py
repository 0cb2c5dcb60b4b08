"""The demo: Redis, API and worker as processes of their own, traffic through POST /predict, and a drift half-way.

Nothing is arranged for it: the thresholds are the production defaults, the shift is half a standard deviation of one
feature. The traffic is exchangeable (simulated rows are drawn at random, those of a file are shuffled), since that is what
the closed-form false-alarm rates hold for.
"""

import asyncio
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import redis
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from models.demo_traffic import SHIFT_SD, Row, paired_rows
from models.simulation import BATCH_ROWS
from models.training import DemoModel, Trained, register
from shared import counters
from shared.counters import Counters
from shared.deployment import Deployment
from shared.errors import DriftgaugeError
from shared.keys import Keys
from shared.model_registry import ModelRegistry
from shared.redis_client import connect
from shared.reporting.files import written
from shared.settings import Settings
from shared.snapshot import Alert, CloudEvent, Snapshot

ENDLESS_CLEAN_EVENTS = 3000
"""Events before the drift when the demo has no end."""
CONCURRENCY = 32
IDLE_S = 2.0
"""An unused connection is closed by us, well before the API would: else a request could meet a closing connection."""
SETTLE_S = 60.0
INTERRUPTED_S = 5.0


@dataclass(frozen=True)
class Plan:
    """What the command line asks for."""

    model: DemoModel
    events: int | None
    seed: int
    data: Path | None
    rate: int
    output: Path
    in_order: bool
    as_json: bool

    @property
    def clean_events(self) -> int:
        return self.events // 2 if self.events is not None else ENDLESS_CLEAN_EVENTS


@dataclass
class Outcome:
    """What happened."""

    published: int = 0
    counted: int = 0
    injected_at: int | None = None
    alerts: list[Alert] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)

    @property
    def first_alert_event(self) -> int | None:
        """Events that had been counted when the first alert fired."""
        return min((alert.evidence.events for alert in self.alerts if alert.state == "firing"), default=None)


def run(plan: Plan, settings: Settings) -> None:
    """Run the demo; nothing of it is left running, whatever happens."""
    started = time.monotonic()
    console = Console(stderr=plan.as_json, highlight=False)
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="driftgauge-demo-") as folder:
        own = settings.model_copy(
            update={
                "data_dir": Path(folder),
                "registry_dir": Path(folder) / "registry",
                "keys_file": Path(folder) / "keys.json",  # absent: the demo's API is open, on loopback
                "reports_dir": plan.output,
                "key_prefix": f"{settings.key_prefix}-demo-{uuid.uuid4().hex[:8]}",
                "default_model": plan.model.name,
            }
        )
        console.print(f"Training the {plan.model.name} model …")
        trained = plan.model.train(plan.data, plan.seed)
        register(plan.model, trained, ModelRegistry(own.registry_dir))
        metric, value = next(iter(trained.metrics.items()))
        features = len(plan.model.schema.features)
        console.print(f"  {plan.model.summary}, from {features} features: {metric} {value:.3f} on rows it has not seen")
        with Deployment(own) as running:
            _announce(console, plan, running)
            client = connect(running.settings.redis_url)
            try:
                with suppress(KeyboardInterrupt):
                    asyncio.run(_Show(plan, console, running, outcome, trained).run())
                _count(outcome, plan, client, own)
                _find_reports(outcome, plan, running)
            finally:
                if settings.redis_url is not None:
                    _forget(client, own.key_prefix)
                client.close()
            _conclude(console, plan, outcome, running, time.monotonic() - started)


class _Show:
    """Traffic and what comes of it, at the same time."""

    def __init__(self, plan: Plan, console: Console, running: Deployment, outcome: Outcome, trained: Trained) -> None:
        self.plan = plan
        self.console = console
        self.running = running
        self.outcome = outcome
        self.traffic = paired_rows(plan.model, trained, plan.seed, in_order=plan.in_order)
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("predictions"),
            TimeElapsedColumn(), console=console,
        )  # fmt: skip

    async def run(self) -> None:
        """Post everything, then wait until all of it was counted and judged."""
        limits = httpx.Limits(max_connections=CONCURRENCY + 1, keepalive_expiry=IDLE_S)
        async with httpx.AsyncClient(base_url=self.running.url, timeout=30, limits=limits) as client:
            watch = asyncio.create_task(self._watch(client))
            try:
                with self.progress:
                    await self._post_all(client)
                await self._settle()
            finally:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch

    async def _post_all(self, client: httpx.AsyncClient) -> None:
        bar = self.progress.add_task("clean traffic ", total=self.plan.events)
        begun, done = time.monotonic(), 0
        while self.plan.events is None or done < self.plan.events:
            if done == self.plan.clean_events:
                self.outcome.injected_at = done
                feature = self.plan.model.drifting_feature
                self.console.print(f"[bold]Injected after {done:,}:[/] {feature} is now off by {SHIFT_SD} sd.")
                self.progress.update(bar, description="drifted traffic")
            self.running.require_running()
            rows = self._next_rows(done)
            await self._post(client, rows, lambda: self.progress.advance(bar))
            done += len(rows)
            await asyncio.sleep(max(0.0, begun + done / self.plan.rate - time.monotonic()))

    def _next_rows(self, done: int) -> list[Row]:
        """Give the next rows; a batch never spans the moment of the injection."""
        ends = [done + min(BATCH_ROWS, max(self.plan.rate // 5, 1)), self.plan.events or sys.maxsize]
        if done < self.plan.clean_events:
            ends.append(self.plan.clean_events)
        drifted = done >= self.plan.clean_events
        return [next(self.traffic)[drifted] for _ in range(min(ends) - done)]

    async def _post(self, client: httpx.AsyncClient, rows: list[Row], advance: Callable[[], None]) -> None:
        """Post rows by a few concurrent clients; all are answered when it returns, so that the injection is a clean cut."""
        waiting = iter(rows)

        async def post_some() -> None:
            for row in waiting:
                answer = await client.post("/predict", json={"features": row})
                if answer.status_code != httpx.codes.OK or answer.json()["event"] == "dropped":
                    raise DriftgaugeError(f"A prediction was not taken: {answer.status_code} {answer.text[:500]}")
                self.outcome.published += 1
                advance()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(CONCURRENCY, len(rows))):
                group.create_task(post_some())

    async def _watch(self, client: httpx.AsyncClient) -> None:
        """Follow the alert stream, from its beginning, and print what fires and resolves."""
        position = "0-0"
        while True:
            with suppress(httpx.HTTPError):
                headers = {"Last-Event-ID": position}
                path = f"/alerts/stream?model={self.plan.model.name}"
                async with client.stream("GET", path, headers=headers, timeout=None) as lines:
                    async for line in lines.aiter_lines():
                        name, _, value = line.partition(": ")
                        if name == "id":
                            position = value
                        elif name == "data":
                            self._alert(value)
            await asyncio.sleep(0.2)

    def _alert(self, text: str) -> None:
        event = msgspec.json.decode(text, type=CloudEvent)
        alert = msgspec.json.decode(event.data, type=Alert)
        if alert.state not in {"firing", "resolved"}:
            return
        self.outcome.alerts.append(alert)
        colour = {"critical": "red", "warning": "yellow"}[alert.severity]
        self.console.print(
            f"[{colour}]{alert.state.upper()} {alert.severity.upper()}[/] at event {alert.evidence.events:,}: "
            f"{escape(alert.feature or 'the monitor')}: {escape(alert.summary)}"
        )

    async def _settle(self) -> None:
        """Wait until everything was counted, judged, and shown."""
        settings = self.running.settings
        keys, client = Keys(settings.key_prefix), connect(settings.redis_url)
        try:
            deadline = time.monotonic() + SETTLE_S
            model = self.plan.model.name
            while not (_counters(client, keys, model).events >= self.outcome.published and _judged(client, keys, model)):
                self.running.require_running()
                if time.monotonic() > deadline:
                    raise DriftgaugeError(f"Not everything was counted within {SETTLE_S:.0f} s; see the worker's log.")
                await asyncio.sleep(0.05)
            shown = client.xlen(keys.alerts(model))
            await asyncio.sleep(0.3 if shown else 0.0)  # the last alerts are on their way through the API
        finally:
            client.close()


def _announce(console: Console, plan: Plan, running: Deployment) -> None:
    if running.settings.port != running.wanted_port:
        console.print(f"Port {running.wanted_port} is in use; using {running.settings.port}.")
    console.print(f"{running.server['kind'].capitalize()} {running.server['version']}, API and worker run.")
    console.print(f"  [bold]{running.url}/[/]  the dashboard, live", highlight=False)
    for path in ("docs", "alerts", "reports/latest?format=html"):
        console.print(f"  {running.url}/{path}")
    if plan.in_order:
        console.print(
            "In the order of time the file's rows are not exchangeable: seasons move every feature, and the alerts that "
            "this raises before the injection are no false alarms of chance but real change. Without --in-order the rows "
            "are shuffled, as the stated false-alarm rates assume."
        )
    elif plan.data is not None:
        console.print("The file's rows are shuffled, since the stated false-alarm rates hold for exchangeable traffic.")
    until = "until Ctrl-C" if plan.events is None else f"{plan.events:,} of them"
    console.print(f"Posting predictions, {until}; {plan.model.drifting_feature} drifts after {plan.clean_events:,}.")


def _counters(client: redis.Redis, keys: Keys, model: str) -> Counters:
    packed: bytes | None = client.hget(keys.count(model, 0), counters.FIELD)  # type: ignore[assignment]  # bytes, not str
    return msgspec.json.decode(packed, type=Counters) if packed else Counters()


def _judged(client: redis.Redis, keys: Keys, model: str) -> bool:
    """Whether judging has read every pane."""
    latest: Any = client.xrevrange(keys.panes(model, 0), count=1)
    state: Any = client.hget(keys.judge(model), "state")
    return bool(latest and state) and json.loads(state)["offsets"].get("0") == latest[0][0].decode()


def _count(outcome: Outcome, plan: Plan, client: redis.Redis, settings: Settings) -> None:
    """Read what was counted from the committed checkpoint; after Ctrl-C the last commit may be a moment away."""
    keys, deadline = Keys(settings.key_prefix), time.monotonic() + INTERRUPTED_S
    while (counted := _counters(client, keys, plan.model.name).events) < outcome.published and time.monotonic() < deadline:
        time.sleep(0.05)
    outcome.counted = counted


def _find_reports(outcome: Outcome, plan: Plan, running: Deployment) -> None:
    """Wait for the worker to write the report of the latest snapshot."""
    answer = httpx.get(f"{running.url}/reports/latest", params={"model": plan.model.name}, timeout=10)
    if answer.status_code != httpx.codes.OK:
        return
    snapshot, deadline = msgspec.json.decode(answer.content, type=Snapshot), time.monotonic() + INTERRUPTED_S
    while not (found := written(snapshot, plan.output / plan.model.name)) and time.monotonic() < deadline:
        time.sleep(0.05)
    outcome.reports = [str(path) for path in found]


def _conclude(console: Console, plan: Plan, outcome: Outcome, running: Deployment, seconds: float) -> None:
    first = outcome.first_alert_event
    console.print(f"{outcome.published:,} predictions published, {outcome.counted:,} counted, in {seconds:.1f} s.")
    if outcome.injected_at is not None and first is not None:
        after = first - outcome.injected_at
        console.print(f"First alert {after:,} predictions after the drift." if after >= 0 else "An alert before the drift.")
    for path in outcome.reports:
        console.print(f"  {path}", soft_wrap=True)
    if plan.as_json:
        drift = {
            "feature": plan.model.drifting_feature,
            "injected_at_event": outcome.injected_at,
            "first_alert_event": first,
        }
        result = {
            "published": outcome.published, "counted": outcome.counted, "alerts": msgspec.to_builtins(outcome.alerts),
            "reports": outcome.reports, "drift": drift, "redis": running.server, "seconds": round(seconds, 2),
        }  # fmt: skip
        sys.stdout.write(json.dumps(result) + "\n")


def _forget(client: redis.Redis, prefix: str) -> None:
    """Delete the demo's keys from a Redis that is not its own."""
    for key in client.scan_iter(match=f"{prefix}:*", count=1000):
        client.delete(key)
