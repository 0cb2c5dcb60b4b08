"""One order of severities."""

import itertools

import pytest

from driftgauge.shared.contract.severity import (
    ALARMING,
    ALERT_SEVERITIES,
    WORST_FIRST,
    AlertSeverity,
    most_urgent_first,
    rank,
    worst,
)
from driftgauge.shared.contract.snapshot import ActiveAlert


def alert(severity: AlertSeverity, state: str, started: int) -> ActiveAlert:
    return ActiveAlert(
        f"{severity}-{state}-{started}",
        "x",
        "psi",
        severity,
        "firing" if state == "firing" else "pending",
        started,
        "",
    )


def test_what_is_not_judged_is_never_worse_than_a_verdict() -> None:
    """A warning outweighs everything but what is critical, a column that cannot be read is no
    column that is well, and one without enough data makes no model that is well insufficient.
    """
    assert WORST_FIRST[:4] == (*ALERT_SEVERITIES, "unreadable", "ok")
    assert worst(["insufficient_data", "ok", "excluded"]) == "ok"
    assert worst(["excluded", "uncalibrated"]) == "uncalibrated"
    assert {name for name in WORST_FIRST if rank(name) < rank("ok")} == ALARMING | {"unreadable"}


def test_of_none_there_is_no_worst() -> None:
    """Whoever has nothing to compare says himself what that means."""
    with pytest.raises(ValueError, match="empty"):
        worst([])


def test_alerts_have_one_order() -> None:
    """Firing comes before pending, critical before a warning, and what began first before what
    followed, in whatever order the alerts came.
    """
    expected = [
        alert("critical", "firing", 5),
        alert("critical", "firing", 6),
        alert("warning", "firing", 1),
        alert("critical", "pending", 0),
        alert("warning", "pending", 0),
    ]
    for order in itertools.permutations(expected):
        assert sorted(order, key=most_urgent_first) == expected
