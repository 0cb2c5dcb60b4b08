"""Backtest: panes that were judged before are judged again, by one policy or by several side by
side.

Judging is a function of panes, references and policy. So the same policy makes the same decisions
again, and another policy shows which alerts it would have raised. Events are not counted again: the
online detectors' alarms are the recorded ones, whatever the policy's budget.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from driftgauge.consumer.judging.advance import Rejudging, Transitions
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.stated import PolicyChange
from driftgauge.shared.contract.alert import Action, Alert
from driftgauge.shared.contract.pane import Alarm, NewReference, Pane, PaneEntry, Watermark
from driftgauge.shared.contract.severity import AlertSeverity, worst


class AlertTotals(msgspec.Struct):
    """Alerts of a policy on one column and rule; an empty name stands for all of them.

    Parameters
    ----------
    alerts
        Number of alerts that fired.
    notified
        Number of notifications, reminders included.
    severity
        Worst severity.
    alarm_ms
        Logical time in alarm.
    first
        Logical time (ms) of the first alert.
    """

    version: str = ""
    feature: str = ""
    rule: str = ""
    alerts: int = 0
    notified: int = 0
    severity: AlertSeverity | None = None
    alarm_ms: int = 0
    first: int | None = None


class PastIncident(msgspec.Struct):
    """An incident as people would have been told of it.

    Parameters
    ----------
    opened, ended
        Logical times (ms); `ended` is None if it is open at the end of the range.
    notified
        Number of times that people would have been told.
    """

    id: str
    opened: int
    ended: int | None
    severity: AlertSeverity
    headline: str
    action: Action
    notified: int


class Verdict(msgspec.Struct):
    """Alerts of a policy over a time range: of the model, by feature, and by feature and rule; and
    the incidents that they make up, in the order of time.

    `total.alarm_ms` is the time in which anything was in alarm.
    """

    total: AlertTotals
    features: list[AlertTotals]
    rules: list[AlertTotals]
    incidents: list[PastIncident]


class Backtest(msgspec.Struct, omit_defaults=True):
    """Result of a backtest, which `--json` prints.

    Parameters
    ----------
    start, end
        Logical times (ms) of the judged range.
    resolution
        Number of panes, hours and days that were judged.
    today, policy
        Verdict by the policy that is in force now, and by that of the file; None without a file.
    recorded
        Verdict by the policies that were in force, each from its place on; None if it was the same
        one throughout.
    """

    model: str
    start: int
    end: int
    resolution: dict[str, int]
    today: Verdict
    policy: Verdict | None = None
    recorded: Verdict | None = None


@dataclass(slots=True)
class _Life:
    """An alert from its firing to its end."""

    alert: Alert
    begin: int
    end: int | None = None
    notified: int = 0
    severity: AlertSeverity = "warning"


@dataclass(slots=True)
class AlertTracker:
    """Follows the transitions of one policy."""

    lives: list[_Life] = field(default_factory=list)
    incidents: dict[str, PastIncident] = field(default_factory=dict)
    _open: dict[str, _Life] = field(default_factory=dict)

    def take(self, found: Transitions) -> None:
        """Process the transitions of an entry."""
        for alert in found.alerts:
            self._take_alert(alert)
        for incident in found.incidents:
            known = self.incidents.get(incident.id)
            self.incidents[incident.id] = PastIncident(
                incident.id,
                incident.opened,
                incident.ended,
                incident.severity,
                incident.headline,
                incident.action,
                incident.notify + (known.notified if known is not None else 0),
            )

    def _take_alert(self, alert: Alert) -> None:
        life = self._open.get(alert.fingerprint)
        if alert.state == "firing" and life is None:
            life = self._open[alert.fingerprint] = _Life(alert, alert.updated)
            self.lives.append(life)
        if life is None:
            return
        life.notified += alert.notify
        life.severity = worst((life.severity, alert.severity))
        if alert.state == "resolved":
            life.end = alert.ended
            del self._open[alert.fingerprint]

    def verdict(self, end: int) -> Verdict:
        """Return the verdict; alerts that are still open last until `end` (ms)."""
        return Verdict(
            _told(self.lives, end),
            [
                _named(found, end, keys)
                for keys, found in _grouped(self.lives, ("version", "feature"))
            ],
            [
                _named(found, end, keys)
                for keys, found in _grouped(self.lives, ("version", "feature", "rule"))
            ],
            sorted(self.incidents.values(), key=lambda one: (one.opened, one.id)),
        )


def rejudge(
    entries: Iterable[PaneEntry | PolicyChange],
    model: str,
    versions: Mapping[str, JudgedVersion],
    policies: Sequence[JudgingPolicy],
    settings: JudgingPolicy | None = None,
) -> Iterator[tuple[PaneEntry | PolicyChange, list[Transitions]]]:
    """Judge entries again, in one pass for all policies.

    Parameters
    ----------
    entries
        Entries in the order in which they were judged, and among them the policies that were taken
        up.
    versions
        Versions by `reference_key`, as in judging. Entries of other versions are ignored.
    settings
        If given, one more policy is tried after the others: these settings, with what was taken up
        at its place.

    Yields
    ------
    entry, transitions
        Each entry, and for each policy the transitions that it caused.
    """
    judges = [Rejudging(model, versions, policy) for policy in policies]
    if settings is not None:
        judges.append(Rejudging(model, versions, settings, recorded=True))
    for entry in entries:
        known = _known(entry, versions)
        yield (
            entry,
            [judge.take(known) if known is not None else Transitions([], []) for judge in judges],
        )


def _known(
    entry: PaneEntry | PolicyChange, versions: Mapping[str, JudgedVersion]
) -> PaneEntry | PolicyChange | None:
    """Return the part of an entry that belongs to published versions; None if nothing does."""
    if isinstance(entry, Alarm | NewReference):
        return entry if entry.version in versions else None
    if isinstance(entry, Pane) and not entry.blocks.keys() <= versions.keys():
        return msgspec.structs.replace(
            entry, blocks={name: part for name, part in entry.blocks.items() if name in versions}
        )
    return None if isinstance(entry, Watermark) else entry


def _grouped(lives: list[_Life], by: tuple[str, ...]) -> list[tuple[dict[str, str], list[_Life]]]:
    groups: dict[tuple[str, ...], list[_Life]] = {}
    for life in lives:
        groups.setdefault(tuple(getattr(life.alert, name) for name in by), []).append(life)
    return [(dict(zip(by, names, strict=True)), groups[names]) for names in sorted(groups)]


def _named(lives: list[_Life], end: int, names: dict[str, str]) -> AlertTotals:
    return msgspec.structs.replace(_told(lives, end), **names)


def _told(lives: list[_Life], end: int) -> AlertTotals:
    severities = {life.severity for life in lives}
    return AlertTotals(
        alerts=len(lives),
        notified=sum(life.notified for life in lives),
        severity=worst(severities) if severities else None,
        alarm_ms=covered([(life.begin, end if life.end is None else life.end) for life in lives]),
        first=min((life.begin for life in lives), default=None),
    )


def covered(intervals: list[tuple[int, int]]) -> int:
    """Return the length of the union of intervals.

    Examples
    --------
    >>> covered([(0, 10), (5, 12), (20, 21)])
    13
    """
    total, reached = 0, -math.inf
    for begin, end in sorted(intervals):
        total += int(max(0, end - max(begin, reached)))
        reached = max(reached, end)
    return total
