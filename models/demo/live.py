"""The running demo: it posts predictions and, some time later, their labels, and prints what people
are told.
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
from driftgauge.shared.connections.streams import newest
from driftgauge.shared.contract import counters
from driftgauge.shared.contract.alert import Alert, CloudEvent
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.entry_id import BEGINNING
from driftgauge.shared.contract.events import Value
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.local.deployment import Deployment
from driftgauge.shared.moments import untold
from driftgauge.shared.rules import is_operational

ENDLESS_CLEAN_EVENTS = 3000
"""Events before the drift when the demo has no end."""
CONCURRENCY = 8
"""Most requests for a prediction that are open at once; httpx looks at every connection at each."""
IDLE_S = 2.0
"""The client closes an unused connection after these seconds, well before the API would; otherwise
a request could meet a connection that is being closed.
"""
SETTLE_S = 60.0
"""Longest wait at the end, in seconds, until everything was counted and judged."""
LABEL_DELAY_S: Final = 2.0
"""Mean time from a prediction to its label, in seconds."""
UNLABELLED: Final = 0.1
"""Share of the predictions that never get a label."""
LABELS_EVERY_S: Final = 0.5
"""Pause between two posts of labels, in seconds."""
LABELS_S: Final = 10.0
"""Longest wait at the end until all labels were counted, in seconds."""


Features = dict[str, Value]


@dataclass(frozen=True)
class DemoPlan:
    """The demo as the command line asks for it.

    Parameters
    ----------
    events
        Rows to post; None posts until Ctrl-C.
    seed
        Seed of model and traffic.
    data
        File whose rows are posted; None posts simulated rows.
    rate
        Rows a second.
    output
        Folder of the reports.
    in_order
        True if the rows of a file keep their order in time.
    as_json
        True if the result is printed as JSON.
    """

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
        """Rows before the drift."""
        return self.events // 2 if self.events is not None else ENDLESS_CLEAN_EVENTS


@dataclass
class DemoResult:
    """The progress of the demo, and at its end the result.

    Attributes
    ----------
    published, counted
        Predictions that the API accepted, and events that the worker counted.
    injected_at
        Predictions before the drift; None until it begins.
    alerts
        Transitions to firing and resolved, in the order in which they came.
    incidents
        Each incident as it was last, by id.
    reports
        Paths of the report files.
    """

    published: int = 0
    counted: int = 0
    injected_at: int | None = None
    alerts: list[Alert] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    reports: list[str] = field(default_factory=list)

    @property
    def first_alert_event(self) -> int | None:
        """Number of events that had been counted when the first alert on the model fired; None if
        none did. A slow machine's latency is no drift.
        """
        return min(
            (
                alert.evidence.events
                for alert in self.alerts
                if alert.state == "firing" and not is_operational(alert.rule, alert.feature)
            ),
            default=None,
        )


class LiveDemo:
    """Posts predictions and labels and follows alerts and incidents, all at the same time.

    Parameters
    ----------
    running
        The deployment that the rows are posted to.
    result
        Result, which is filled in while the demo runs.
    """

    def __init__(
        self,
        plan: DemoPlan,
        console: Console,
        running: Deployment,
        result: DemoResult,
        trained: Trained,
    ) -> None:
        self.plan = plan
        self.console = console
        self.running = running
        self.result = result
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
        # three connections more: for the two streams and for labels
        limits = httpx.Limits(max_connections=CONCURRENCY + 3, keepalive_expiry=IDLE_S)
        async with httpx.AsyncClient(
            base_url=self.running.url, timeout=30, limits=limits
        ) as client:
            labels = LateLabels(client, self.plan.model.name, LABEL_DELAY_S, self.random)
            ended = asyncio.Event()
            beside = [
                asyncio.create_task(self._watch(client, "alerts", self._alert)),
                asyncio.create_task(self._watch(client, "incidents", self._incident)),
            ]
            label = asyncio.create_task(self._label(labels, ended))
            try:
                with self.progress:
                    await self._post_all(client, labels)
                ended.set()
                await label
                await self._settle(labels.accepted)
            finally:
                for task in (*beside, label):
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

    async def _label(self, labels: LateLabels, ended: asyncio.Event) -> None:
        """Post labels as they fall due, and the rest at the end.

        If the API refuses them, the demo goes on without labels.
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
                self.result.injected_at = done
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
        """Return the next rows and their labels; None is a label that never comes.

        No batch spans the beginning of the drift.
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
        """Post rows by concurrent requests and return when all were answered.

        So no clean row is counted after the first drifted one.
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
                self.result.published += 1
                advance()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(CONCURRENCY, len(rows))):
                group.create_task(post_some())

    async def _watch(
        self, client: httpx.AsyncClient, name: str, take: Callable[[CloudEvent], None]
    ) -> None:
        """Follow a stream from its beginning."""
        position = BEGINNING
        while True:
            with suppress(httpx.HTTPError):
                headers = {"Last-Event-ID": position}
                path = f"/{name}/stream?model={self.plan.model.name}"
                async with client.stream("GET", path, headers=headers, timeout=None) as lines:
                    async for line in lines.aiter_lines():
                        field_, _, value = line.partition(": ")
                        if field_ == "id":
                            position = value
                        elif field_ == "data":
                            take(msgspec.json.decode(value, type=CloudEvent))
            await asyncio.sleep(0.2)

    def _alert(self, event: CloudEvent) -> None:
        """Record an alert that fires or resolves; it is evidence, which nobody needs to read."""
        alert = untold(msgspec.json.decode(event.data), Alert)
        if alert.state in {"firing", "resolved"}:
            self.result.alerts.append(alert)

    def _incident(self, event: CloudEvent) -> None:
        """Record an incident, and print what people are told of it."""
        incident = untold(msgspec.json.decode(event.data), Incident)
        self.result.incidents[incident.id] = incident
        if not incident.notify:
            return
        colour = {"critical": "red", "warning": "yellow"}[incident.severity]
        change = {"severity": "worse", "cause": "new cause"}.get(incident.change, incident.change)
        self.console.print(
            f"[{colour}]{incident.severity.upper()} {change}[/] "
            f"{escape(incident.headline)}\n  {escape(incident.advice)}"
        )

    async def _settle(self, labels: int) -> None:
        """Wait until everything was counted and judged, and the incidents were printed.

        Labels are waited for only `LABELS_S`: counting hands them to judging in bulk, the last ones
        after 5 s without an entry.
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
            if client.xlen(keys.alerts(model)):
                await asyncio.sleep(0.3)  # the last alerts are on their way through the API
        finally:
            client.close()

    def _counted(
        self, client: redis.Redis, keys: Keys, model: str, labels: int, patience: float
    ) -> bool:
        counted = read_counters(client, keys, model)
        counted_labels = counted.labels.joined >= labels and not counted.labels.untold
        return (
            counted_labels or time.monotonic() > patience
        ) and counted.events >= self.result.published


def read_counters(client: redis.Redis, keys: Keys, model: str) -> Counters:
    """Read the counters of a model's only partition; all are 0 before the first commit."""
    packed: bytes | None = client.hget(keys.count(model, 0), counters.FIELD)  # type: ignore[assignment]  # bytes, not str
    return msgspec.json.decode(packed, type=Counters) if packed else Counters()


def _judged(client: redis.Redis, keys: Keys, model: str) -> bool:
    """Return whether judging has read every pane."""
    latest = newest(client, keys.panes(model, 0))
    state: Any = client.hget(keys.judge(model), "state")
    if latest is None or not state:
        return False
    return bool(json.loads(state)["offsets"].get("0") == str(latest[0]))
