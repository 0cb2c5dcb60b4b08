"""Until when a route is quiet, by its hours and their time zones. Pure."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from driftgauge.consumer.notifying.routes import WEEKDAYS, Quiet
from driftgauge.shared.contract.severity import AlertSeverity

MOST_CHAINED: Final = 64
"""Most quiet hours that follow each other without a break, after which one is told all the same."""


def quiet_until(hours: Sequence[Quiet], severity: AlertSeverity, now: int) -> int:
    """Return the moment (Unix ms) at which an incident may be told: `now` if nothing is quiet.

    Examples
    --------
    >>> night = Quiet(start="22:00", end="07:00", zone="Europe/Berlin")
    >>> from driftgauge.shared.durations import milliseconds
    >>> from driftgauge.shared.moments import iso
    >>> iso(quiet_until([night], "critical", milliseconds("2026-01-10T23:30:00+01:00")))
    '2026-01-11T06:00:00.000Z'
    """
    until = now
    for _ in range(MOST_CHAINED):
        ends = [end for one in hours if (end := _end(one, severity, until)) is not None]
        if not ends:
            break
        until = max(ends)
    return until


def _end(hours: Quiet, severity: AlertSeverity, now: int) -> int | None:
    """Return when the hours end in which a moment lies; None if it lies in none."""
    if hours.critical and severity == "critical":
        return None
    zone = ZoneInfo(hours.zone)
    today = datetime.fromtimestamp(now / 1000, zone).date()
    over_midnight = timedelta(days=1 if hours.end <= hours.start else 0)
    for day in (today - timedelta(days=1), today):
        start = _moment(day, hours.start, zone)
        end = _moment(day + over_midnight, hours.end, zone)
        if WEEKDAYS[day.weekday()] in hours.days and start <= now < end:
            return end
    return None


def _moment(day: date, clock: str, zone: ZoneInfo) -> int:
    local = datetime.combine(day, time.fromisoformat(clock), zone)
    return round(local.timestamp() * 1000)
