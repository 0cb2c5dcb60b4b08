"""Which alert explains another."""

import msgspec

from driftgauge.consumer.judging.alerts.inhibition import cause_of, is_explained
from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.shared.contract.alerts import fingerprint
from driftgauge.shared.contract.severity import AlertSeverity
from tests.consumer.judging.builders import Stream, judge
from tests.consumer.judging.rules.test_findings import judged
from tests.consumer.judging.test_advance import stream


def alert(rule: str, feature: str = "smooth", state: str = "firing") -> AlertState:
    made = AlertState(rule.rjust(16, "0"), "1.0.0", feature, rule, "critical", "firing", 0, 0, "")
    return msgspec.structs.replace(made, state=state)


def test_missing_values_explain_the_drift_that_they_cause() -> None:
    """40 % missing raise PSI; without them the column is as it was. A shift of the values is not
    explained by them.
    """
    column = 0
    assert is_explained(judged(missing=0.4).evaluation, column)
    assert not is_explained(judged(missing=0.4, shift=1.0).evaluation, column)
    assert is_explained(judged(rows=100, shift=3.0).evaluation, column), (
        "too few rows to tell: data quality first"
    )
    few = judged(missing=0.997, shift=1.0).evaluation
    assert is_explained(few, column), "of the rows that are left it may be chance"


def test_only_the_same_feature_and_only_drift() -> None:
    """A cause explains drift of its own feature; integrity findings are explained by the online
    alarm of them alone.
    """
    evaluation = judged(missing=0.4).evaluation
    missing, psi, online = alert("missing"), alert("psi"), alert("integrity")
    assert cause_of(psi, [missing, psi], evaluation) == missing.fingerprint
    assert cause_of(alert("psi", "heavy"), [missing], evaluation) == ""
    assert cause_of(alert("threshold.latency_p99_ms", ""), [missing], evaluation) == ""
    assert cause_of(missing, [missing, psi, alert("unseen")], evaluation) == ""
    assert cause_of(missing, [online, missing], evaluation) == online.fingerprint
    assert cause_of(online, [online, missing], evaluation) == ""


def test_nothing_explains_unequal_treatment() -> None:
    """Neither broken values nor drift nor a fall of the performance, of all rows or of a segment,
    is a reason not to tell of it; and it explains none of these.
    """
    evaluation = judged(missing=0.4).evaluation
    unfair = msgspec.structs.replace(
        alert("fairness.selection_rate_ratio", ""), fingerprint="unfair", segment="city=*"
    )
    fall = msgspec.structs.replace(
        alert("performance.accuracy", ""), fingerprint="fall", severity="critical", state="firing"
    )
    psi = alert("psi")
    assert cause_of(unfair, [alert("missing"), psi, fall], evaluation) == ""
    assert cause_of(psi, [unfair], evaluation) == cause_of(fall, [unfair], evaluation) == ""


def test_the_columns_of_an_episode_are_told_once() -> None:
    """Of ordered columns that drift within 7 days the first is told; what is critical, what began
    at the same moment, and what comes later are told too, and nothing hides behind an alert that
    nobody heard of, or that something else explains.
    """
    evaluation = judged().evaluation

    def weekly(
        feature: str, day: float, severity: AlertSeverity = "warning", notified: int | None = 0
    ) -> AlertState:
        found = msgspec.structs.replace(
            alert("psi_week", feature), fingerprint=feature, severity=severity
        )
        return msgspec.structs.replace(found, started=int(day * 86_400_000), notified=notified)

    def new(feature: str, day: float, severity: AlertSeverity = "warning") -> AlertState:
        return weekly(feature, day, severity, notified=None)

    first, fall = weekly("smooth", 0), alert("performance.mae", "")
    assert cause_of(new("heavy", 6), [weekly("city", 3), first], evaluation) == first.fingerprint
    assert cause_of(new("heavy", 9), [weekly("city", 3), first], evaluation) == first.fingerprint
    assert cause_of(new("heavy", 6, "critical"), [first], evaluation) == ""
    assert cause_of(new("heavy", 0), [first], evaluation) == ""
    assert cause_of(new("heavy", 7), [first], evaluation) == ""
    assert cause_of(first, [weekly("heavy", 6)], evaluation) == ""
    assert cause_of(new("heavy", 6), [new("smooth", 0)], evaluation) == ""
    explained = msgspec.structs.replace(first, inhibited_by=fall.fingerprint)
    assert (
        cause_of(
            new("heavy", 6),
            [explained, msgspec.structs.replace(fall, severity="warning")],
            evaluation,
        )
        == ""
    )
    assert cause_of(new("heavy", 6), [msgspec.structs.replace(first, rule="psi")], evaluation) == ""


def test_one_column_speaks_for_an_episode() -> None:
    """What was told of an episode's columns is not told again beside its first column's reminders,
    critical ones included; when the first is over the next one speaks.
    """
    evaluation = judged().evaluation
    names = ("smooth", "heavy", "city")
    first, second, third = (
        msgspec.structs.replace(
            alert("psi_week", name), fingerprint=name, started=day * 86_400_000, notified=1
        )
        for day, name in zip((0, 20, 20), names, strict=True)
    )
    assert cause_of(first, [first, second, third], evaluation) == ""
    assert cause_of(second, [first, second, third], evaluation) == first.fingerprint
    assert (
        cause_of(msgspec.structs.replace(second, notified=None), [first, second, third], evaluation)
        == ""
    )
    spoken_for = [
        msgspec.structs.replace(one, inhibited_by=first.fingerprint) for one in (second, third)
    ]
    assert [cause_of(one, spoken_for, evaluation) for one in spoken_for] == [third.fingerprint, ""]


def told(made: Stream) -> dict[str, list[str]]:
    """Return the notified transitions of each rule of the smooth feature."""
    found: dict[str, list[str]] = {}
    for one in judge(made.entries).alerts:
        if one.feature == "smooth":
            found.setdefault(one.rule, [])
            if one.notify:
                found[one.rule].append(one.state)
    return found


def test_a_silent_sensor_is_one_notification() -> None:
    """Half of the values missing break integrity and PSI: people hear of the first alone, the
    second names its cause.
    """
    made = stream().panes(8).panes(10, missing=0.5).panes(14)
    assert told(made) == {"missing": ["firing", "resolved"], "psi": []}
    psi = next(
        one for one in judge(made.entries).alerts if one.rule == "psi" and one.state == "firing"
    )
    assert psi.inhibited_by == fingerprint("plant", "1.0.0", "smooth", "missing")
    assert psi.action == "fix_feed"
    snapshot = next(one for one in judge(made.entries).snapshots if one.id == psi.snapshot)
    assert any(one.inhibited_by for one in snapshot.alerts)


def test_a_drift_that_outlives_its_cause_comes_back() -> None:
    """When the sensor is mended and the values are shifted all the same, the drift is told then."""
    made = stream().panes(8).panes(10, missing=0.5).panes(20, shift=0.6, missing=0.02)
    found = told(made)
    assert found["psi"] == ["firing"]
    released = next(one for one in judge(made.entries).alerts if one.rule == "psi" and one.notify)
    assert released.change == "released"
    assert not released.inhibited_by
