"""Which alerts are one incident, both ways for each rule."""

from msgspec.structs import replace

from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.incidents.grouping import incident_of
from driftgauge.consumer.judging.incidents.state import IncidentState, Member, cause_kind
from driftgauge.shared.contract.incident import Change, IncidentAlert

MORNING, EVENING = Change(1000, 900, 1100), Change(9000, 8900, 9100)


def alert(feature: str, rule: str = "psi", segment: str = "", **more: object) -> AlertState:
    """Make a firing alert."""
    name = f"{feature}-{rule}-{segment}"
    found = AlertState(name, "1.0.0", feature, rule, "warning", "firing", 0, 0, "", segment=segment)
    return replace(found, **more)


def incident(
    *alerts: AlertState, change: Change = MORNING, name: str = "a", ended: int | None = None
) -> IncidentState:
    """Make an incident of alerts."""
    members = {
        one.fingerprint: Member(
            IncidentAlert(one.fingerprint, "1.0.0", one.feature, one.rule, "warning", "", 0, 0),
            cause_kind(one),
            tuple(filter(None, (one.feature, *one.columns))),
        )
        for one in alerts
    }
    kind = "operation" if cause_kind(alerts[0]) == "operation" else "model"
    return IncidentState(
        name, kind, "1.0.0", "warning", change.since, 0, change, members, alerts[0].fingerprint,
        ended=ended,
    )  # fmt: skip


def test_features_that_broke_together_are_one() -> None:
    """Their changes can have been at the same moment."""
    known = incident(alert("x"))
    assert incident_of(alert("y"), Change(1050, 1000, 1200), [known]) is known


def test_features_that_broke_apart_are_two() -> None:
    """Another column, whose change was certainly later, opens its own."""
    assert incident_of(alert("y"), EVENING, [incident(alert("x"))]) is None


def test_the_same_column_is_the_same_incident_whenever() -> None:
    """While it is open, all that its columns do is its evidence."""
    known = incident(alert("x", "e_detector"))
    assert incident_of(alert("x", "missing"), EVENING, [known]) is known


def test_of_two_the_nearest_in_time() -> None:
    """An alert that could belong to both joins the one that began nearest to it."""
    first = incident(alert("x"), change=Change(1000, 900, 5000))
    second = incident(alert("z"), change=Change(4000, 900, 5000), name="b")
    assert incident_of(alert("y"), Change(3900, 3800, 4100), [first, second]) is second


def test_the_performance_follows_a_column() -> None:
    """A fall joins what a column did before it, however much later labels tell of it; a column's
    incident is preferred to one without.
    """
    columns = incident(alert("x"))
    other = incident(alert("prediction"), change=EVENING, name="b")
    fall = alert("", "performance.mae")
    assert incident_of(fall, EVENING, [columns, other]) is columns
    assert incident_of(fall, EVENING, [other]) is other


def test_a_fall_before_the_change_is_its_own() -> None:
    """What certainly began before a column changed does not follow from it."""
    late = incident(alert("x"), change=EVENING)
    assert incident_of(alert("", "performance.mae"), MORNING, [late]) is None


def test_no_feed_brings_the_predictions() -> None:
    """However broken they or the labels are, they are a consequence, and never one of the features
    that changed.
    """
    assert cause_kind(alert("x", "out_of_range")) == "broken_values"
    assert cause_kind(alert("prediction", "out_of_range")) == "prediction"
    assert cause_kind(alert("label", "unseen")) == "label"


def test_a_column_joins_the_fall_that_it_explains() -> None:
    """Where the errors told first, the column that broke at the same time is their cause."""
    fall = incident(alert("", "performance.e_detector"))
    assert incident_of(alert("x"), Change(1010, 950, 1200), [fall]) is fall
    assert incident_of(alert("x"), EVENING, [fall]) is None


def test_a_column_that_a_fall_inhibits_may_be_another_fault() -> None:
    """Any critical fall inhibits the drift beside it; that alone does not make them one."""
    known = incident(alert("x"), alert("", "performance.mae"))
    inhibited = alert("y", inhibited_by="-performance.mae-")
    assert incident_of(inhibited, EVENING, [known]) is None


def test_a_segment_joins_what_explains_it() -> None:
    """Segments are parts of all rows."""
    known = incident(alert("x"), alert("", "performance.mae"))
    inside = alert("", "segment.performance", "r=n", inhibited_by="-performance.mae-")
    assert incident_of(inside, EVENING, [known]) is known
    assert incident_of(alert("", "segment.performance", "r=n"), EVENING, [known]) is None


def test_operation_never_mixes_with_the_model() -> None:
    """Latency beside a drift is another incident; two limits at once are one."""
    drift = incident(alert("x"))
    latency = alert("", "threshold.latency_p99_ms")
    assert incident_of(latency, MORNING, [drift]) is None
    machine = incident(latency, name="b")
    assert incident_of(alert("", "threshold.events_per_day"), EVENING, [drift, machine]) is machine
    assert incident_of(alert("y"), MORNING, [machine]) is None


def test_a_limit_on_a_column_is_of_the_model() -> None:
    """A limit that a user set on a column's PSI is no operation."""
    known = incident(alert("x"))
    assert incident_of(alert("x", "threshold.psi"), EVENING, [known]) is known


def test_a_closed_one_opens_again_for_its_own_columns_alone() -> None:
    """Of what is remembered only the same column may open it again."""
    over = incident(alert("x"), ended=2000)
    assert incident_of(alert("x", "e_detector"), EVENING, [over]) is over
    assert incident_of(alert("y"), MORNING, [over]) is None
    assert incident_of(alert("", "performance.mae"), MORNING, [over]) is None


def test_unequal_treatment_is_an_incident_of_its_own() -> None:
    """Its alerts share one, whatever else happens at the same time; nothing else joins it."""
    ratio = alert("", "fairness.selection_rate_ratio", "sex=*")
    drift, fall = incident(alert("x")), incident(alert("", "performance.accuracy"), name="b")
    assert incident_of(ratio, MORNING, [drift, fall]) is None
    unfair = incident(ratio, name="c")
    assert unfair.kind == "model"
    odds = alert("", "fairness.equalised_odds", "age=*")
    assert incident_of(odds, EVENING, [drift, fall, unfair]) is unfair
    for other in (alert("y"), alert("", "performance.accuracy"), alert("", "segment.psi", "sex=f")):
        assert incident_of(other, MORNING, [unfair]) is None
