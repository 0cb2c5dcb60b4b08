"""Content of a model's own page: its state, its latest window, traffic and performance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from driftgauge.producer.dashboard.past import past_snapshots
from driftgauge.producer.dashboard.views.standings import sorted_incidents
from driftgauge.producer.dashboard.views.traffic import traffic_series
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.history import readable
from driftgauge.producer.reading.incidents import open_incidents
from driftgauge.producer.watching.traffic import state_of
from driftgauge.producer.watching.watchdog import failing_words, firing_rules
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.severity import most_urgent_first, rank
from driftgauge.shared.contract.snapshot import ActiveAlert, Snapshot
from driftgauge.shared.unpacking import UNREADABLE


@dataclass(frozen=True, slots=True)
class ModelCard:
    """State of a model.

    Parameters
    ----------
    version
        Version that was judged last, else the one that serves; empty if there is neither.
    serving
        The version that predicts here, empty if none does.
    snapshot
        Snapshot of its current window; None before a window was judged.
    unreadable
        Whether there is a window that another release wrote.
    others
        Current windows of its other versions.
    incidents
        Its open incidents, the worst first.
    traffic
        Traffic and backlog as `traffic.state_of` returns them; None for a model that Redis does not
        know.
    blind
        Rules of the watchdog that fire.
    failing
        What the worker fails on, in words; empty if it does not.
    refused
        What of the last hour's events was refused, in words; empty if none was.
    history
        Traffic over time, as its chart takes it; None for a model that Redis does not know.
    metric
        The first performance metric over time, for its chart; None without labels.
    """

    model: str
    version: str
    serving: str
    snapshot: Snapshot | None
    unreadable: bool
    others: list[Snapshot]
    incidents: list[Incident]
    traffic: dict[str, Any] | None
    blind: list[str]
    failing: str
    refused: str
    history: dict[str, Any] | None
    metric: dict[str, Any] | None

    @property
    def severity(self) -> str:
        """Worst severity of its window, its open incidents and the watchdog's alerts."""
        found = "unknown" if self.snapshot is None else self.snapshot.severity
        told = (one.severity for one in self.incidents)
        return min((found, *told, *("critical" for _ in self.blind)), key=rank)

    @property
    def is_explained(self) -> bool:
        """Whether an incident tells of the window's findings, so that its verdict need not."""
        return any(one.kind == "model" for one in self.incidents)

    @property
    def firing(self) -> list[ActiveAlert]:
        """Firing alerts of its current window, the most severe first."""
        alerts = (
            []
            if self.snapshot is None
            else [one for one in self.snapshot.alerts if one.state == "firing"]
        )
        return sorted(alerts, key=most_urgent_first)

    @property
    def pending(self) -> int:
        """Number of pending alerts: those with one bad evaluation so far."""
        return (
            0
            if self.snapshot is None
            else sum(one.state == "pending" for one in self.snapshot.alerts)
        )


async def model_card(parts: Parts, name: str) -> ModelCard:
    """Describe a model that Redis knows or that is served here."""
    names = [name] if name in await parts.pipeline.models() else []
    states = await parts.pipeline.read(names)
    found = await firing_rules(parts.reader, parts.keys, names)
    failing = await failing_words(parts.reader, parts.keys, names)
    told = readable(await open_incidents(parts.reader, parts.keys, names), Incident)
    windows = (await current_windows(parts, names)).get(name, [])
    current = [window for window in windows if window is not None]
    served = parts.serving.production.get(name)
    serving = "" if served is None else served.version
    state = states[0] if states else None
    return ModelCard(
        model=name,
        version=current[0].version if current else serving,
        serving=serving,
        snapshot=current[0] if current else None,
        unreadable=len(current) < len(windows),
        others=current[1:],
        incidents=sorted_incidents(told),
        traffic=None
        if state is None
        else state_of(state, parts.feed.traffic.latest(name), parts.meter),
        blind=[rule for _, rule, fires in found if fires],
        failing=failing.get(name, ""),
        refused="" if state is None or not state.refused.refused else state.refused.described(),
        history=None if state is None else traffic_series(await parts.traffic.read(state)),
        metric=await _metric(parts, current[0]) if current else None,
    )


async def current_windows(parts: Parts, models: Sequence[str]) -> dict[str, list[Snapshot | None]]:
    """Read the current windows of some models, newest first; one that cannot be read is None, and
    last.
    """
    pipe = parts.reader.pipeline(transaction=False)
    for model in models:
        pipe.hvals(parts.keys.current(model))
    return {
        model: _newest_first(windows)
        for model, windows in zip(models, await pipe.execute(), strict=True)
    }


def _newest_first(windows: Sequence[bytes]) -> list[Snapshot | None]:
    found = [_window(packed) for packed in windows]
    return sorted(found, key=lambda one: -1 if one is None else one.created, reverse=True)


def _window(packed: bytes) -> Snapshot | None:
    try:
        return msgspec.json.decode(packed, type=Snapshot)
    except UNREADABLE:  # another release wrote it: the page says so
        return None


async def _metric(parts: Parts, now: Snapshot) -> dict[str, Any] | None:
    """Return the first metric of a version over its reports and its current window."""
    if now.performance is None or not now.performance.metrics:
        return None
    name = now.performance.metrics[0].name
    earlier = await past_snapshots(parts.reader, parts.keys.snapshots(now.model), now.version)
    points = [(one.created, one.performance) for one in earlier if one.created < now.created]
    points.append((now.created, now.performance))
    found = [
        (time, metric)
        for time, one in points
        if one
        for metric in one.metrics
        if metric.name == name
    ]
    return {
        "name": name,
        "unit": found[-1][1].unit,
        "baseline": found[-1][1].baseline,
        "times": [time for time, _ in found],
        "values": [metric.value for _, metric in found],
        "low": [metric.low for _, metric in found],
        "high": [metric.high for _, metric in found],
        "start": now.performance.start,
        "end": now.performance.end,
    }
