"""What people are told of an incident, and what is only recorded."""

from msgspec.structs import replace

from driftgauge.consumer.judging.incidents.life import (
    Moved,
    acknowledge,
    joined,
    moved,
    resolved,
    silence,
)
from driftgauge.consumer.judging.incidents.state import IncidentState, Member
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.contract.alert import Acknowledgement, Silence
from driftgauge.shared.contract.incident import CauseKind, Change, IncidentAlert
from driftgauge.shared.contract.severity import AlertSeverity

POLICY = JudgingPolicy()
EMPTY = IncidentState("i", "model", "1.0.0", "warning", 1, 1, Change(1, 0, 2))


def member(
    feature: str,
    kind: CauseKind = "feature",
    severity: AlertSeverity = "warning",
    rule: str = "psi",
) -> Member:
    """Make an alert that fires."""
    told = IncidentAlert(f"{feature}-{rule}", "1.0.0", feature, rule, severity, "", 1, 1)
    return Member(told, kind, (feature,) if feature else ())


def follow(
    incident: IncidentState | None,
    *members: Member,
    now: int = 5,
    heard: bool = True,
    policy: JudgingPolicy = POLICY,
) -> Moved | None:
    """Let alerts join."""
    after = joined(incident or EMPTY, list(members), now) if members else (incident or EMPTY)
    return moved(incident, after, now, heard=heard, policy=policy)


def opened(*members: Member) -> IncidentState:
    """Open an incident that was told."""
    found = follow(None, *(members or (member("x"),)))
    assert found is not None
    return found.incident


def change_of(found: Moved | None) -> tuple[str, bool] | None:
    """Return what changed and whether it is told."""
    return None if found is None else (found.change, found.notify)


def test_it_is_told_once() -> None:
    """Opening is told, one more alert of the same is recorded, and no news is nothing."""
    first = follow(None, member("x"))
    assert first is not None
    assert change_of(first) == ("opened", True)
    assert change_of(follow(first.incident, member("x", rule="adwin"))) == ("evidence", False)
    assert follow(first.incident) is None


def test_a_rise_of_severity_is_told() -> None:
    """And the severity never falls while it is open."""
    found = follow(opened(), member("", "performance", "critical", "performance.mae"))
    assert change_of(found) == ("severity", True)
    assert found is not None
    assert found.incident.severity == "critical"
    calm = follow(found.incident, member("y"))
    assert calm is not None
    assert calm.incident.severity == "critical"


def test_a_cause_before_the_known_one_is_told() -> None:
    """A column behind a fall is news; a consequence of what is known is none."""
    fall = member("", "performance", rule="performance.mae")
    assert change_of(follow(opened(fall), member("x"))) == ("cause", True)
    assert change_of(follow(opened(member("x")), fall)) == ("evidence", False)
    broken = member("x", "broken_values", rule="missing")
    assert change_of(follow(opened(member("x")), broken)) == ("cause", True)


def test_a_cause_that_comes_and_goes_is_told_once() -> None:
    """What was told to be broken, then moved, and then broken again is one message."""
    broken = member("x", "broken_values", rule="missing")
    known = opened(broken)
    mild = follow(known, replace(broken, kind="feature"))
    assert change_of(mild) == ("evidence", False)
    assert mild is not None
    assert change_of(follow(mild.incident, broken)) == ("evidence", False)


def test_many_features_are_another_cause_than_few() -> None:
    """The fourth one is told, once."""
    known = opened(member("a"), member("b"), member("c"))
    wide = follow(known, member("d"))
    assert change_of(wide) == ("cause", True)
    assert wide is not None
    assert change_of(follow(wide.incident, member("e"))) == ("evidence", False)


def test_its_end_is_told_when_all_alerts_resolved() -> None:
    """One of two that resolves is recorded; the last one ends it."""
    both = opened(member("x"), member("y"))
    half = resolved(both, {"x-psi"}, 7)
    found = moved(both, half, 7, heard=True, policy=POLICY)
    assert change_of(found) == ("evidence", False)
    assert found is not None
    end = resolved(found.incident, {"y-psi"}, 8)
    over = moved(found.incident, end, 8, heard=True, policy=POLICY)
    assert change_of(over) == ("resolved", True)
    assert over is not None
    assert over.incident.ended == 8


def test_it_opens_again() -> None:
    """Within the cooldown the same column opens it again, with its number going on."""
    known = opened()
    over = moved(known, resolved(known, {"x-psi"}, 7), 7, heard=True, policy=POLICY)
    assert over is not None
    again = follow(over.incident, member("x"), now=9)
    assert change_of(again) == ("reopened", True)
    assert again is not None
    assert again.incident.is_open
    assert again.incident.number == 3


def test_what_is_silenced_is_told_afterwards() -> None:
    """An incident whose alerts are silenced is recorded, and told when the silence is over while it
    lasts; what nobody was told of ends untold.
    """
    quiet = follow(None, member("x"), heard=False)
    assert change_of(quiet) == ("opened", False)
    assert quiet is not None
    assert follow(quiet.incident, heard=False) is None
    assert change_of(follow(quiet.incident)) == ("released", True)
    over = ended(quiet.incident, 7)
    assert change_of(over) == ("resolved", False)
    assert over is not None
    assert follow(over.incident, now=8) is None


def test_a_rise_under_a_silence_is_told_afterwards() -> None:
    """Nothing that matters is lost because somebody silenced what was known before."""
    silent = silence(opened(), Silence("ann", "", 5, until=100)).incident
    worse = follow(silent, member("y", severity="critical"), now=50)
    assert change_of(worse) == ("severity", False)
    assert worse is not None
    assert change_of(follow(worse.incident, now=101)) == ("released", True)


def test_other_advice_under_a_silence_is_told_afterwards() -> None:
    """Who was told to wait is told when the advice became another one meanwhile."""
    silent = silence(opened(), Silence("ann", "", 5, until=100)).incident
    fell = joined(silent, [member("", "performance", rule="performance.mae")], 50)
    found = moved(silent, replace(fell, action="retrain"), 50, heard=True, policy=POLICY)
    assert change_of(found) == ("evidence", False)
    assert found is not None
    assert change_of(follow(found.incident, now=101)) == ("released", True)
    same = moved(silent, fell, 50, heard=True, policy=POLICY)
    assert same is not None
    assert change_of(follow(same.incident, now=101)) == ("released", False)


def test_the_end_of_a_silence_is_recorded() -> None:
    """Whoever follows it knows that it is silent no more, although nothing is to be told."""
    silent = silence(opened(), Silence("ann", "", 5, until=100)).incident
    assert follow(silent, now=99) is None
    found = follow(silent, now=100)
    assert change_of(found) == ("released", False)
    assert found is not None
    assert follow(found.incident, now=101) is None


def test_that_all_its_alerts_are_silenced_is_recorded() -> None:
    """Silenced one by one they mute it as a whole, and it is released with the first of them."""
    found = follow(opened(), heard=False)
    assert change_of(found) == ("silenced", False)
    assert found is not None
    assert follow(found.incident, heard=False) is None
    assert change_of(follow(found.incident)) == ("released", False)


def ended(incident: IncidentState, now: int, *, heard: bool = True) -> Moved | None:
    """Let the alert of its only column resolve, or time pass after that."""
    over = resolved(incident, {"x-psi"}, now)
    return moved(incident, over, now, heard=heard, policy=POLICY)


def test_an_end_in_a_silence_is_told_afterwards() -> None:
    """Whoever was told that it began is told that it is over, once, when the silence is."""
    silent = silence(opened(), Silence("ann", "", 5, until=100)).incident
    found = ended(silent, 50)
    assert change_of(found) == ("resolved", False)
    assert found is not None
    assert follow(found.incident, now=99) is None
    told = follow(found.incident, now=100)
    assert change_of(told) == ("resolved", True)
    assert told is not None
    assert (told.incident.ended, told.incident.number) == (50, found.incident.number + 1)
    assert follow(told.incident, now=101) is None


def test_an_end_while_its_alerts_are_silenced_is_told_afterwards() -> None:
    """Alerts that are silenced one by one are as silent as the incident."""
    found = ended(opened(), 50, heard=False)
    assert change_of(found) == ("resolved", False)
    assert found is not None
    assert change_of(follow(found.incident, now=100)) == ("resolved", True)


def test_an_end_with_the_silence_is_told_though_news_was_held_back() -> None:
    """What was held back does not make it an incident that nobody was told of."""
    silent = silence(opened(), Silence("ann", "", 5, until=100)).incident
    worse = follow(silent, member("x", severity="critical"), now=50)
    assert worse is not None
    assert change_of(ended(worse.incident, 60)) == ("resolved", False)
    assert change_of(ended(worse.incident, 100)) == ("resolved", True)


def test_an_end_that_is_owed_when_it_opens_again() -> None:
    """It was never over for those who were told: the next end is told to them, once."""
    silent = silence(opened(), Silence("ann", "", 5, until=100)).incident
    over = ended(silent, 50)
    assert over is not None
    again = follow(over.incident, member("x"), now=60)
    assert change_of(again) == ("reopened", False)
    assert again is not None
    assert change_of(follow(again.incident, now=100)) == ("released", True)
    assert change_of(ended(again.incident, 100)) == ("resolved", True)


def test_reminders() -> None:
    """With a policy that asks for them, people are reminded after its time, then after twice as
    long, and not once somebody has seen it.
    """
    policy = JudgingPolicy(renotify_ms=100)
    known = replace(opened(), notified=0)
    assert follow(known, now=99, policy=policy) is None
    first = follow(known, now=100, policy=policy)
    assert change_of(first) == ("reminder", True)
    assert first is not None
    assert follow(first.incident, now=250, policy=policy) is None
    assert change_of(follow(first.incident, now=300, policy=policy)) == ("reminder", True)
    seen = acknowledge(first.incident, Acknowledgement("ann", "", 110)).incident
    assert follow(seen, now=900, policy=policy) is None


def test_transitions_are_numbered() -> None:
    """Each has the next number, so that none is told twice."""
    known = opened()
    assert known.number == 1
    seen = acknowledge(known, Acknowledgement("ann", "", 5))
    assert (seen.incident.number, seen.change, seen.notify) == (2, "acknowledged", False)
