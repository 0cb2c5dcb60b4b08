"""Quiet hours in their time zones."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.notifying.routes import Quiet
from driftgauge.consumer.notifying.routing.quiet_hours import quiet_until
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.moments import iso

NIGHT = Quiet(start="22:00", end="07:00", zone="Europe/Berlin")
FRIDAY = Quiet(start="22:00", end="07:00", days=("fri",))
NOON = Quiet(start="12:00", end="13:00", zone="Asia/Kathmandu")
WEEKEND = Quiet(start="00:00", end="00:00", zone="Europe/Berlin", days=("sat", "sun"))


def until(quiet: list[Quiet], written: str, severity: str = "warning") -> str:
    now = milliseconds(written)
    assert now is not None
    found = quiet_until(quiet, severity, now)  # type: ignore[arg-type]  # of the parameters
    return "" if found == now else iso(found).removesuffix(":00.000Z")


@pytest.mark.parametrize(
    ("quiet", "now", "end"),
    [
        ([NIGHT], "2026-01-14T21:59:59+01:00", ""),
        ([NIGHT], "2026-01-14T22:00:00+01:00", "2026-01-15T06:00"),
        ([NIGHT], "2026-01-15T06:59:00+01:00", "2026-01-15T06:00"),
        ([NIGHT], "2026-01-15T07:00:00+01:00", ""),
        # clocks go forward at 2:00 on 29 March 2026, and back at 3:00 on 25 October
        ([NIGHT], "2026-03-28T23:00:00+01:00", "2026-03-29T05:00"),
        ([NIGHT], "2026-10-24T23:00:00+02:00", "2026-10-25T06:00"),
        # hours that end in the hour that is left out, or that is there twice
        (
            [Quiet(start="01:00", end="02:30", zone="Europe/Berlin")],
            "2026-03-29T01:30:00+01:00",
            "2026-03-29T01:30",
        ),
        (
            [Quiet(start="01:00", end="02:30", zone="Europe/Berlin")],
            "2026-10-25T02:15:00+02:00",
            "2026-10-25T00:30",
        ),
        # the weekend of 17 and 18 January, after Friday's night and before Sunday's
        ([NIGHT, WEEKEND], "2026-01-16T23:00:00+01:00", "2026-01-19T06:00"),
        ([WEEKEND], "2026-01-17T12:00:00+01:00", "2026-01-18T23:00"),
        ([WEEKEND], "2026-01-19T00:00:00+01:00", ""),
        ([FRIDAY], "2026-01-17T03:00:00Z", "2026-01-17T07:00"),
        ([FRIDAY], "2026-01-18T03:00:00Z", ""),
        ([NOON], "2026-01-17T06:20:00Z", "2026-01-17T07:15"),
        ([], "2026-01-17T06:20:00Z", ""),
    ],
)  # fmt: skip
def test_it_is_quiet_until_the_end(quiet: list[Quiet], now: str, end: str) -> None:
    """Hours hold by the clock of their zone, over midnight, over a change of the clocks, and one
    after the other.
    """
    assert until(quiet, now) == end


def test_critical_incidents_may_pass() -> None:
    """By the setting they do; warnings never do."""
    passing = [Quiet(start="00:00", end="00:00", critical=True)]
    assert until(passing, "2026-01-17T06:20:00Z", "critical") == ""
    assert until([Quiet(start="10:00", end="11:00", critical=True)], "2026-01-17T10:20:00Z") != ""


def test_quiet_hours_without_end_do_not_hang() -> None:
    """Hours that never end are left after some weeks, so what waits is told late, not never."""
    always = [Quiet(start="00:00", end="00:00")]
    assert until(always, "2026-01-17T06:20:00Z").startswith("2026-03")


@given(st.integers(0, 366 * 24 * 60), st.sampled_from(["Europe/Berlin", "America/St_Johns", "UTC"]))
def test_the_end_is_not_quiet_and_comes_within_a_day(minute: int, zone: str) -> None:
    """Whenever it is quiet, it ends within the length of the hours and an hour's change of clocks,
    and all moments before the end lead to the same one.
    """
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1000 + minute * 60_000
    quiet = [Quiet(start="22:00", end="07:00", zone=zone)]
    end = quiet_until(quiet, "warning", start)
    assert quiet_until(quiet, "warning", end) == end
    assert end - start <= 10 * 3_600_000
    steps = [start, start + (end - start) // 2, max(start, end - 1)]
    assert all(one <= other for one, other in pairwise(steps))
    assert {quiet_until(quiet, "warning", one) for one in steps} == {end}
