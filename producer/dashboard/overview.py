"""Content of the overview: the state of every model, the worst first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from driftgauge.producer.dashboard.past import past_snapshots
from driftgauge.producer.dashboard.views.traffic import traffic_series
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.model_state import ModelState
from driftgauge.producer.watching.traffic import state_of
from driftgauge.producer.watching.watchdog import failing_words, firing_rules
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
    traffic
        Traffic and backlog as `traffic.state_of` returns them; None for a model that Redis does not
        know.
    blind
        Rules of the watchdog that fire.
    failing
        What the worker fails on, in words; empty if it does not.
    refused
        What of the last hour's events was refused, in words; empty if none was.
    points
        Time (ms) and events per second over the last minutes.
    metric
        The first performance metric over time, for its chart; None without labels.
    """

    model: str
    version: str
    serving: str
    snapshot: Snapshot | None
    unreadable: bool
    others: list[Snapshot]
    traffic: dict[str, Any] | None
    blind: list[str]
    failing: str
    refused: str
    history: dict[str, Any] | None
    metric: dict[str, Any] | None

    @property
    def severity(self) -> str:
        """Worst severity of its window and of the watchdog's alerts."""
        found = "unknown" if self.snapshot is None else self.snapshot.severity
        return min((found, *("critical" for _ in self.blind)), key=rank)

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


async def model_cards(parts: Parts) -> list[ModelCard]:
    """Describe all models that Redis knows or that are served here."""
    names = await parts.pipeline.models()
    states = {state.model: state for state in await parts.pipeline.read(names)}
    currents = await current_windows(parts, names)
    blind: dict[str, list[str]] = {}
    for model, rule, fires in await firing_rules(parts.reader, parts.keys, names):
        if fires:
            blind.setdefault(model, []).append(rule)
    failing = await failing_words(parts.reader, parts.keys, names)
    cards = [
        await _card(
            parts,
            name,
            states.get(name),
            currents.get(name, []),
            blind.get(name, []),
            failing.get(name, ""),
        )
        for name in sorted({*names, *parts.serving.production})
    ]
    return sorted(cards, key=lambda card: (rank(card.severity), card.model))


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


async def _card(
    parts: Parts,
    name: str,
    state: ModelState | None,
    windows: Sequence[Snapshot | None],
    blind: list[str],
    failing: str,
) -> ModelCard:
    served = parts.serving.production.get(name)
    readable = [window for window in windows if window is not None]
    serving = "" if served is None else served.version
    return ModelCard(
        model=name,
        version=readable[0].version if readable else serving,
        serving=serving,
        snapshot=readable[0] if readable else None,
        unreadable=len(readable) < len(windows),
        others=readable[1:],
        traffic=None
        if state is None
        else state_of(state, parts.feed.traffic.latest(name), parts.meter),
        blind=blind,
        failing=failing,
        refused="" if state is None or not state.refused.refused else state.refused.described(),
        history=None if state is None else traffic_series(await parts.traffic.read(state)),
        metric=await _metric(parts, readable[0]) if readable else None,
    )


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
        "baseline": found[-1][1].baseline,
        "times": [time for time, _ in found],
        "values": [metric.value for _, metric in found],
        "low": [metric.low for _, metric in found],
        "high": [metric.high for _, metric in found],
        "start": now.performance.start,
        "end": now.performance.end,
    }
