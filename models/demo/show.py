"""What the demo does while it runs: predictions, their labels some time later, and the alerts that
come of them.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import numpy as np
import redis
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from driftgauge.models.common.late_labels import LateLabels
from driftgauge.models.common.simulation import BATCH_ROWS
from driftgauge.models.common.training import DemoModel, Trained
from driftgauge.models.demo.traffic import SHIFT_SD, paired_rows
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract import counters
from driftgauge.shared.contract.alert import Alert, CloudEvent
from driftgauge.shared.contract.alerts import subject_of
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.events import Value
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.local.deployment import Deployment

ENDLESS_CLEAN_EVENTS = 3000
"""Events before the drift when the demo has no end."""
CONCURRENCY = 8
"""Most requests for a prediction that are open at once; httpx looks at every connection at each."""
IDLE_S = 2.0
"""An unused connection is closed by us, well before the API would: else a request could meet a
closing connection.
"""
SETTLE_S = 60.0
LABEL_DELAY_S: Final = 2.0
"""Mean time after which a prediction's true value is known."""
UNLABELLED: Final = 0.1
"""Share of the predictions whose true value never is."""
LABELS_EVERY_S: Final = 0.5
LABELS_S: Final = 10.0
"""How long the end waits for labels."""


Features = dict[str, Value]


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
        return min(
            (alert.evidence.events for alert in self.alerts if alert.state == "firing"),
            default=None,
        )


class Show:
    """Traffic and what comes of it, at the same time."""

    def __init__(
        self, plan: Plan, console: Console, running: Deployment, outcome: Outcome, trained: Trained
    ) -> None:
        self.plan = plan
        self.console = console
        self.running = running
        self.outcome = outcome
        self.traffic = paired_rows(plan.model, trained, plan.seed, in_order=plan.in_order)
        self.random = np.random.default_rng((plan.seed, 3))
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("predictions"),
            TimeElapsedColumn(),
            console=console,
        )

    async def run(self) -> None:
        """Post everything, then wait until all of it was counted and judged."""
        limits = httpx.Limits(
            max_connections=CONCURRENCY + 2, keepalive_expiry=IDLE_S
        )  # and alerts, and labels
        async with httpx.AsyncClient(
            base_url=self.running.url, timeout=30, limits=limits
        ) as client:
            labels = LateLabels(client, self.plan.model.name, LABEL_DELAY_S, self.random)
            ended = asyncio.Event()
            watch, label = (
                asyncio.create_task(self._watch(client)),
                asyncio.create_task(self._label(labels, ended)),
            )
            try:
                with self.progress:
                    await self._post_all(client, labels)
                ended.set()
                await label
                await self._settle(labels.accepted)
            finally:
                for task in (watch, label):
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

    async def _label(self, labels: LateLabels, ended: asyncio.Event) -> None:
        """Post labels beside the predictions, the rest at the end; where they are not taken, the
        demo goes on without.
        """
        try:
            while not ended.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), LABELS_EVERY_S)
                await labels.post(time.monotonic())
            await labels.post()
        except DriftgaugeError as error:
            self.console.print(f"True values are no longer posted: {escape(str(error))}")

    async def _post_all(self, client: httpx.AsyncClient, labels: LateLabels) -> None:
        bar = self.progress.add_task("clean traffic ", total=self.plan.events)
        begun, done = time.monotonic(), 0
        while self.plan.events is None or done < self.plan.events:
            if done == self.plan.clean_events:
                self.outcome.injected_at = done
                feature = self.plan.model.drifting_feature
                self.console.print(
                    f"[bold]Injected after {done:,}:[/] {feature} is now off by {SHIFT_SD} sd."
                )
                self.progress.update(bar, description="drifted traffic")
            self.running.require_running()
            rows = self._next_rows(done)
            await self._post(client, rows, labels, lambda: self.progress.advance(bar))
            done += len(rows)
            await asyncio.sleep(max(0.0, begun + done / self.plan.rate - time.monotonic()))

    def _next_rows(self, done: int) -> list[tuple[Features, Value]]:
        """Give the next rows and labels, None for one that never comes; no batch spans the moment
        of the injection.
        """
        ends = [
            done + min(BATCH_ROWS, max(self.plan.rate // 5, 1)),
            self.plan.events or sys.maxsize,
        ]
        if done < self.plan.clean_events:
            ends.append(self.plan.clean_events)
        drifted = done >= self.plan.clean_events
        rows = list(islice(self.traffic, min(ends) - done))
        known = (self.random.random(len(rows)) >= UNLABELLED).tolist()
        return [
            (row.drifted if drifted else row.clean, row.label if is_known else None)
            for row, is_known in zip(rows, known, strict=True)
        ]

    async def _post(
        self,
        client: httpx.AsyncClient,
        rows: list[tuple[Features, Value]],
        labels: LateLabels,
        advance: Callable[[], None],
    ) -> None:
        """Post rows by a few concurrent clients; all are answered when it returns, so that the
        injection is a clean cut.
        """
        waiting = iter(rows)

        async def post_some() -> None:
            for features, label in waiting:
                answer = await client.post("/predict", json={"features": features})
                if answer.status_code != httpx.codes.OK or answer.json()["event"] == "dropped":
                    raise DriftgaugeError(
                        f"A prediction was not taken: {answer.status_code} {answer.text[:500]}"
                    )
                labels.keep([answer.json()["id"]], [label])
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
            f"[{colour}]{alert.state.upper()} {alert.severity.upper()}[/] at event "
            f"{alert.evidence.events:,}: "
            f"{escape(subject_of(alert))}: {escape(alert.summary)}"
        )

    async def _settle(self, labels: int) -> None:
        """Wait until everything was counted, judged, and shown; its labels too, if that does not
        take long.

        Labels are handed on to judging in bulk, the last ones after 5 s without an entry: counting
        says how many it holds.
        """
        settings = self.running.settings
        keys, client = Keys(settings.key_prefix), connect(settings.redis_url)
        try:
            deadline, patience = time.monotonic() + SETTLE_S, time.monotonic() + LABELS_S
            model = self.plan.model.name
            while not (
                self._counted(client, keys, model, labels, patience)
                and _judged(client, keys, model)
            ):
                self.running.require_running()
                if time.monotonic() > deadline:
                    raise DriftgaugeError(
                        f"Not everything was counted within {SETTLE_S:.0f} s; see the worker's log."
                    )
                await asyncio.sleep(0.05)
            shown = client.xlen(keys.alerts(model))
            await asyncio.sleep(
                0.3 if shown else 0.0
            )  # the last alerts are on their way through the API
        finally:
            client.close()

    def _counted(
        self, client: redis.Redis, keys: Keys, model: str, labels: int, patience: float
    ) -> bool:
        counted = read_counters(client, keys, model)
        told = counted.labels.joined >= labels and not counted.labels.untold
        return (told or time.monotonic() > patience) and counted.events >= self.outcome.published


def read_counters(client: redis.Redis, keys: Keys, model: str) -> Counters:
    packed: bytes | None = client.hget(keys.count(model, 0), counters.FIELD)  # type: ignore[assignment]  # bytes, not str
    return msgspec.json.decode(packed, type=Counters) if packed else Counters()


def _judged(client: redis.Redis, keys: Keys, model: str) -> bool:
    """Whether judging has read every pane."""
    latest: Any = client.xrevrange(keys.panes(model, 0), count=1)
    state: Any = client.hget(keys.judge(model), "state")
    return bool(latest and state) and json.loads(state)["offsets"].get("0") == latest[0][0].decode()
