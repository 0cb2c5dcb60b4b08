"""How each model stands, in a line: its status, the sentence about it, traffic and backlog."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from driftgauge.producer.diagnosis.sources import CurrentWindow, Picture
from driftgauge.shared.contract.severity import ALERT_SEVERITIES, rank

NOT_JUDGED: Final = "Nothing was judged yet."


class Standing(msgspec.Struct, frozen=True):
    """A model in a line.

    Parameters
    ----------
    version
        The version that was judged last; empty before a first window.
    status
        Severity of its current window; `unknown` before the first one.
    headline
        What the window says, in a sentence.
    since
        Logical time at which the oldest firing alert began; None if none fires.
    events_last_hour
        Events that the API processes took within the last hour.
    lag_events, lag_seconds
        Events that wait to be counted, and the age of the oldest one.
    worker
        Whether a worker counts all its partitions and judges it.
    alerts
        Firing alerts by severity.
    fault
        What its worker fails on; empty if on nothing.
    """

    model: str
    version: str
    status: str
    headline: str
    since: datetime | None
    events_last_hour: int
    lag_events: int
    lag_seconds: float
    worker: bool
    alerts: dict[str, int]
    fault: str


def standings(picture: Picture) -> list[Standing]:
    """Describe all models, the worst first."""
    found = [
        _standing(model, told, picture.windows.get(model))
        for model, told in (picture.pipeline or {}).items()
    ]
    return sorted(found, key=lambda one: (rank(one.status), one.model))


def _standing(model: str, told: dict[str, Any], window: CurrentWindow | None) -> Standing:
    partitions = told["partitions"]
    firing = [] if window is None else [one for one in window.alerts if one.state == "firing"]
    return Standing(
        model=model,
        version="" if window is None else window.version,
        status="unknown" if window is None else window.severity,
        headline=NOT_JUDGED if window is None else window.verdict,
        since=min((_moment(one.started) for one in firing), default=None),
        events_last_hour=told["refused"]["taken_last_hour"],
        lag_events=sum(one["lag"]["entries"] for one in partitions),
        lag_seconds=max((one["lag"]["oldest_seconds"] for one in partitions), default=0.0),
        worker=told["judging"]["owned"] and all(one["owned"] for one in partitions),
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
