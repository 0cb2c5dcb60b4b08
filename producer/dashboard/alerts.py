"""Content of the Alerts pages: the open alerts, and each stored transition."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import redis.asyncio

from driftgauge.producer.dashboard.model_page import current_windows
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading import history
from driftgauge.producer.reading.history import NAME, EventFilter, readable
from driftgauge.producer.watching.watchdog import firing_alerts
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.alerts import fingerprint
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.severity import most_urgent_first
from driftgauge.shared.contract.snapshot import ActiveAlert
from driftgauge.shared.rules import rule_of

PAGE: Final = 50
TRACE: Final = re.compile("[0-9a-f]{32}")
SEARCHED: Final = 200
"""Most firing transitions that are searched for those of the watchdog."""


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that is pending or firing, and the version whose window has it; the watchdog's have
    none.
    """

    model: str
    version: str
    alert: ActiveAlert


def is_blind(alert: Alert) -> bool:
    """Return whether the watchdog raised an alert; such an alert cannot be silenced."""
    return rule_of(alert.rule).kind == "monitor"


def traces_of(alert: Alert, address: str | None) -> list[tuple[str, str]]:
    """Return the traces of an alert's evidence by their ids, each with its address; an empty one
    without a setting. What is no trace's id was written by hand, and is left out.

    Parameters
    ----------
    address
        Address of a trace, with `{trace}` in the place of its id.
    """
    found = [one for one in alert.evidence.traces if TRACE.fullmatch(one)]
    return [(one, address.replace("{trace}", one) if address else "") for one in found]


def may_be_acknowledged(alert: Alert) -> bool:
    """Return whether a person can acknowledge an alert: every one of judging, and those of the
    watchdog that tell what happened.
    """
    return rule_of(alert.rule).until_acknowledged or not is_blind(alert)


async def open_alerts(parts: Parts, models: Sequence[str], wanted: EventFilter) -> list[OpenAlert]:
    """Return the open alerts of some models that pass the filter, the most urgent first."""
    windows = await current_windows(parts, models)
    found = [
        OpenAlert(model, window.version, alert)
        for model in models
        for window in windows[model]
        if window is not None
        for alert in window.alerts
        if NAME.fullmatch(alert.fingerprint)  # else another hand wrote it, and no page has its name
    ]
    found += await _blind(parts.reader, parts.keys, models)
    fitting = [one for one in found if _fits(one.alert, wanted)]
    return sorted(fitting, key=lambda one: most_urgent_first(one.alert))


async def transitions(
    parts: Parts, models: Sequence[str], wanted: EventFilter, before: str | None
) -> tuple[list[Alert], str | None]:
    """Return a page of the transitions, newest first, and the `before` of the next page."""
    streams = {model: parts.keys.alerts(model) for model in models}
    events, following = await history.page(parts.reader, streams, wanted, PAGE, before or None)
    return readable(events, Alert), following


def _fits(alert: ActiveAlert, wanted: EventFilter) -> bool:
    return wanted.state in {None, alert.state} and wanted.severity in {None, alert.severity}


async def _blind(client: redis.asyncio.Redis, keys: Keys, models: Sequence[str]) -> list[OpenAlert]:
    """Return the watchdog's firing alerts: the state comes from its own hash, the words from the
    alert stream.
    """
    firing = await firing_alerts(client, keys, models)
    found: list[OpenAlert] = []
    for model in sorted({model for model, _ in firing}):
        stream = {model: keys.alerts(model)}
        events, _ = await history.page(client, stream, EventFilter("firing"), SEARCHED, None)
        latest = {
            name: alert
            for alert in reversed(readable(events, Alert))
            if (model, name := _fingerprint(alert)) in firing
        }
        found += [OpenAlert(model, "", _active(alert)) for alert in latest.values()]
    return found


def _fingerprint(alert: Alert) -> str:
    return fingerprint(alert.model, alert.version, alert.feature, alert.rule, alert.segment)


def _active(alert: Alert) -> ActiveAlert:
    return ActiveAlert(
        _fingerprint(alert),
        alert.feature,
        alert.rule,
        alert.severity,
        "firing",
        alert.started,
        alert.summary,
        segment=alert.segment,
    )
