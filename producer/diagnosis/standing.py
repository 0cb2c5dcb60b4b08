"""How each model stands, in a line: its status, the sentence about it, traffic and backlog."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from driftgauge.producer.diagnosis.sources import CurrentWindow, OpenIncident, Picture
from driftgauge.shared.contract.severity import ALERT_SEVERITIES, rank

NOT_JUDGED: Final = "Nothing was judged yet."


class Standing(msgspec.Struct, frozen=True):
    """A model in a line.

    Parameters
    ----------
    version
        The version that was judged last; empty before a first window.
    status
        Worst severity of its current window and its open incidents; `unknown` before the first
        window.
    headline, advice
        What the worst open incident says and what to do about it, in a sentence each; without one,
        what the window says.
    since
        Logical time since which that incident lasts; None without one.
    events_last_hour
        Events that the API processes took within the last hour.
    lag_events, lag_seconds
        Events that wait to be counted, and the age of the oldest one.
    worker
        Whether a worker counts all its partitions and judges it.
    incidents
        Ids of its open incidents, the worst first.
    alerts
        Firing alerts of its window by severity.
    fault
        What its worker fails on; empty if on nothing.
    """

    model: str
    version: str
    status: str
    headline: str
    advice: str
    since: datetime | None
    events_last_hour: int
    lag_events: int
    lag_seconds: float
    worker: bool
    incidents: list[str]
    alerts: dict[str, int]
    fault: str


def standings(picture: Picture) -> list[Standing]:
    """Describe all models, the worst first."""
    found = [
        _standing(
            model,
            told,
            picture.windows.get(model),
            sorted(
                (one for one in picture.incidents if one.model == model),
                key=lambda one: (rank(one.severity), -one.since),
            ),
        )
        for model, told in (picture.pipeline or {}).items()
    ]
    return sorted(found, key=lambda one: (rank(one.status), one.model))


def _standing(
    model: str,
    told: dict[str, Any],
    window: CurrentWindow | None,
    incidents: Sequence[OpenIncident],
) -> Standing:
    partitions = told["partitions"]
    firing = [] if window is None else [one for one in window.alerts if one.state == "firing"]
    worst = incidents[0] if incidents else None
    judged = "unknown" if window is None else window.severity
    said = NOT_JUDGED if window is None else window.verdict
    return Standing(
        model=model,
        version="" if window is None else window.version,
        status=judged if worst is None else min((judged, worst.severity), key=rank),
        headline=said if worst is None else worst.headline,
        advice="" if worst is None else worst.advice,
        since=None if worst is None else _moment(worst.since),
        events_last_hour=told["refused"]["taken_last_hour"],
        lag_events=sum(one["lag"]["entries"] for one in partitions),
        lag_seconds=max((one["lag"]["oldest_seconds"] for one in partitions), default=0.0),
        worker=told["judging"]["owned"] and all(one["owned"] for one in partitions),
        incidents=[one.id for one in incidents],
        alerts={
            severity: sum(one.severity == severity for one in firing)
            for severity in ALERT_SEVERITIES
        },
        fault=next(faults(told), ""),
    )


def _moment(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def faults(told: dict[str, Any]) -> Iterator[str]:
    """Yield what the worker fails on for a model, a sentence for each stage."""
    stages = (*told["partitions"], told["judging"], *told.get("followers", {}).values())
    for stage in stages:
        fault = stage.get("fault")
        if fault:
            yield f"{fault['stage']}: {fault['reason']}"
