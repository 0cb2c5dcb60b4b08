"""Runs a simulation against a running API, which it knows by HTTP only, as any client does."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import msgspec
import numpy as np

from driftgauge.models.common.late_labels import LateLabels
from driftgauge.models.drift.injection import Injection, InjectionTarget, injection
from driftgauge.models.drift.plan import SimulationPlan
from driftgauge.models.drift.posting import Posted, Poster
from driftgauge.models.drift.report import Record, metrics, now
from driftgauge.models.drift.source import Source, source_of
from driftgauge.models.drift.traffic import DriftSchedule, batches
from driftgauge.models.drift.verdict import FiredAlert, fired, verdict
from driftgauge.models.drift.within import injection_within
from driftgauge.shared.connections.api_client import ask, authorization
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.counters import LabelCounts
from driftgauge.shared.contract.keys import MODEL_NAME
from driftgauge.shared.errors import BadData, ServiceUnavailable
from driftgauge.shared.moments import untold
from driftgauge.shared.performance import LABEL
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.settings import Settings

SAMPLE: Final = 4000
"""Drift-free rows that the sizes of a drift are measured on."""
SETTLE_S: Final = 120.0
"""Longest wait, in seconds, until all rows were counted and judged."""
POLL_S: Final = 0.25
"""Pause between two questions whether all rows were judged, in seconds."""
ALERT_POLL_S: Final = 1.0
"""Pause between two polls for new alerts while rows are posted, in seconds."""
IDLE_S: Final = 2.0
"""The client closes an unused connection after these seconds, well before the API would."""


@dataclass(frozen=True)
class SimulationListener:
    """Functions that are called while a simulation runs.

    Parameters
    ----------
    injected
        Called with the description of the drift when it begins.
    advanced
        Called with the number of rows that were just answered.
    alerted
        Called once with each alert that fired.
    posted
        Called with the rows that were just answered.
    """

    injected: Callable[[str], None]
    advanced: Callable[[int], None]
    alerted: Callable[[FiredAlert], None]
    posted: Callable[[Sequence[Posted]], None] = lambda _: None


@dataclass(frozen=True)
class SimulationResult:
    """The result of a simulation.

    Parameters
    ----------
    posted
        All rows that were posted, in order.
    features
        Names of the features whose values drifted.
    """

    record: Record
    posted: list[Posted]
    features: tuple[str, ...]


@dataclass(frozen=True)
class _Before:
    """The state of the monitor before the first row.

    Parameters
    ----------
    events, labels
        Events and labels of the model that had been counted.
    open
        Fingerprints of the alerts that were pending or firing.
    since
        Time at which the state was read, ISO 8601.
    """

    events: int
    labels: int
    open: frozenset[str]
    since: str


async def simulate(
    plan: SimulationPlan, settings: Settings, url: str, listener: SimulationListener
) -> SimulationResult:
    """Post the traffic, wait until all of it was judged, and compare the alerts with the drift.

    Parameters
    ----------
    url
        Address of the API.

    Raises
    ------
    BadData
        If the model cannot drift so, or the API refuses the rows.
    ServiceUnavailable
        If the API or the worker does not answer.
    """
    limits = httpx.Limits(max_connections=40, keepalive_expiry=IDLE_S)
    headers = authorization(settings)
    async with httpx.AsyncClient(
        base_url=url, headers=headers, limits=limits, trust_env=False
    ) as client:
        info = await ask(client, "GET", "/model-info", params={"model": plan.model})
        return await _Simulation(plan, client, listener, info, settings).run()


class _Simulation:
    """One simulation."""

    def __init__(
        self,
        plan: SimulationPlan,
        client: httpx.AsyncClient,
        listener: SimulationListener,
        info: dict[str, Any],
        settings: Settings,
    ) -> None:
        if not MODEL_NAME.fullmatch(info["model"]):
            raise BadData(f"{client.base_url} is no Driftgauge: its model has an impossible name.")
        self.plan = plan
        self.client = client
        self.listener = listener
        self.info = info
        self.schema = msgspec.convert(info["schema"], Schema)
        registry = registry_of(settings)

        def source(seed: int) -> Source:
            return source_of(
                info["model"],
                info["version"],
                info["feature_engineering"],
                self.schema,
                registry,
                seed,
            )

        self.source = source(plan.seed)
        target = InjectionTarget(
            self.schema,
            source(plan.seed + 1).simulator.labelled(SAMPLE),
            self.source.preferred,
            plan.feature,
        )
        self.injection: Injection = (
            injection(plan.kind, target, plan.intensity)
            if plan.segment is None
            else injection_within(plan.segment, plan.kind, target, plan.intensity)
        )
        labels = LateLabels(
            client, info["model"], plan.label_delay_s, np.random.default_rng((plan.seed, 3))
        )
        self.poster = Poster(client, info["model"], plan.rate, labels)
        self._shown: set[FiredAlert] = set()

    async def run(self) -> SimulationResult:
        started, created = time.monotonic(), now()
        before = await self._before()
        await self._post(before)
        await self._settle(before)
        found = await self._found(before)
        posted, at, labels = self.poster.done, self.plan.clean, self.poster.labels
        judged = verdict(found, at, self.injection.expected)
        record = Record(
            created=created,
            model=self.info["model"],
            version=self.info["version"],
            drift=self.plan.kind,
            shape=self.plan.shape,
            intensity=self.plan.intensity,
            seed=self.plan.seed,
            injected=self.injection.description,
            events=len(posted),
            injected_at=at,
            changed=sum(one.row.drifted for one in posted),
            labels=labels.accepted,
            rejected_labels=dict(labels.rejected),
            found=judged.found,
            passed=judged.passed,
            verdict=judged,
            before=metrics(posted[:at]),
            after=metrics(posted[at:]),
            seconds=round(time.monotonic() - started, 2),
        )
        return SimulationResult(record, posted, self.injection.features)

    async def _post(self, before: _Before) -> None:
        schedule = DriftSchedule(self.plan.events, self.plan.clean, self.plan.shape)
        polled = time.monotonic()
        for rows in batches(self.source, self.schema, self.injection, schedule, self.plan.seed):
            if len(self.poster.done) == self.plan.clean:
                self.listener.injected(self.injection.description)
            await self.poster.post(rows, scored=self.source.scored, advance=self.listener.advanced)
            self.listener.posted(self.poster.done[-len(rows) :])
            if time.monotonic() - polled >= ALERT_POLL_S:
                self._show(await self._found(before))
                polled = time.monotonic()
        await self.poster.labels.post()
        if any(one.feature in {None, LABEL} for one in self.injection.expected):
            self.poster.require_labels()

    async def _before(self) -> _Before:
        """Look up what the monitor has counted and which alerts are open."""
        state = await self._pipeline()
        latest: dict[str, Alert] = {}
        for alert in await self._alerts(None):
            latest.setdefault(alert.fingerprint, alert)
        still = frozenset(
            name for name, alert in latest.items() if alert.state in {"pending", "firing"}
        )
        return _Before(
            int(state.get("events", 0)), sum(one.came for one in _labels(state)), still, now()
        )

    async def _settle(self, before: _Before) -> None:
        """Wait until everything was counted and judged, or raise ServiceUnavailable.

        It takes some seconds at least: counting hands the last labels to judging after 5 s without
        an entry.
        """
        deadline = time.monotonic() + SETTLE_S
        events, labels = (
            before.events + len(self.poster.done),
            before.labels + self.poster.labels.accepted,
        )
        while not is_done(await self._pipeline(), events, labels):
            if time.monotonic() > deadline:
                raise ServiceUnavailable(
                    f"Not everything was judged within {SETTLE_S:.0f} s. Does `driftgauge worker` "
                    f"run?"
                )
            self._show(await self._found(before))
            await asyncio.sleep(POLL_S)
        self._show(await self._found(before))

    async def _pipeline(self) -> dict[str, Any]:
        health = await ask(self.client, "GET", "/health", params={"verbose": "true"})
        if health.get("pipeline") is None:
            raise ServiceUnavailable(
                health.get("reason")
                or "The API does not tell how far the worker is: the key needs read."
            )
        found: dict[str, Any] = health["pipeline"].get(self.info["model"], {})
        return found

    async def _found(self, before: _Before) -> list[FiredAlert]:
        return fired(await self._alerts(before.since), before.events, before.open)

    async def _alerts(self, since: str | None) -> list[Alert]:
        """Fetch the transitions of the model's alerts, newest first; None fetches all of them."""
        found: list[Alert] = []
        position: dict[str, str] = {}
        while True:
            given = {
                "model": self.info["model"],
                "limit": "1000",
                **({"since": since} if since else {}),
                **position,
            }
            page = await ask(self.client, "GET", "/alerts", params=given)
            found += [untold(event["data"], Alert) for event in page["alerts"]]
            if page["next"] is None:
                return found
            position = {"cursor": page["next"]}

    def _show(self, found: list[FiredAlert]) -> None:
        for one in found:
            if one not in self._shown:
                self._shown.add(one)
                self.listener.alerted(one)


def is_done(state: dict[str, Any], events: int, labels: int) -> bool:
    """Return whether this many events and labels were counted, and all that was counted was judged.

    Parameters
    ----------
    state
        The model's part of `pipeline` in the answer to `GET /health?verbose=true`; empty before its
        first version was published.

    Examples
    --------
    >>> judged = {"counted": {"labels": {"joined": 3}}, "lag": {"entries": 0}}
    >>> waiting = {"counted": {"labels": {"joined": 3, "untold": 2}}, "lag": {"entries": 0}}
    >>> state = {"events": 5, "judging": {"panes_behind": [0], "panes_waiting": [0]}}
    >>> is_done({**state, "partitions": [judged]}, 5, 3)
    True
    >>> is_done({**state, "partitions": [waiting]}, 5, 3)  # 2 labels still on their way to judging
    False
    """
    if (
        not state
        or state["events"] < events
        or any(partition["lag"]["entries"] for partition in state["partitions"])
    ):
        return False
    counts = _labels(state)
    if sum(one.came for one in counts) < labels or any(one.untold for one in counts):
        return False
    left = [*state["judging"]["panes_behind"], *state["judging"]["panes_waiting"]]
    return left == [0] * len(left)  # a number that is not known yet is None


def _labels(state: dict[str, Any]) -> list[LabelCounts]:
    return [
        msgspec.convert(one["counted"].get("labels", {}), LabelCounts)
        for one in state.get("partitions", [])
    ]
