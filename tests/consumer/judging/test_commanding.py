"""People's commands, applied by judging's step."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.judging.advance import advance
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.snapshotting import Outputs
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.contract import commands
from driftgauge.shared.contract.alerts import cloud_event, fingerprint
from driftgauge.shared.contract.commands import Acknowledge, SilenceAlert
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.pane import PaneEntry
from tests.consumer.judging.builders import SIZES, VERSIONS, EvaluatedWindow, Stream, judge
from tests.consumer.judging.test_advance import stream

SMOOTH = fingerprint("plant", "1.0.0", "smooth", "adwin")
ACKNOWLEDGE = commands.encode(Acknowledge(SMOOTH, "ann", "looking"))
MINUTE = 60_000


def fired() -> tuple[Stream, EvaluatedWindow]:
    made = stream().panes(8).alarm()
    return made, judge(made.entries)


def apply(state: JudgingState, *packed: bytes | None, start: int = 1) -> Outputs:
    asked = [(f"{start + place}-0", one) for place, one in enumerate(packed)]
    return advance(state, [], "plant", VERSIONS, JudgingPolicy(), asked)


def test_an_acknowledgement_is_a_transition() -> None:
    """It is written as an event of its own type, with who and why, and stands in the current
    snapshot.
    """
    made, found = fired()
    state = found.state()
    outputs = apply(state, ACKNOWLEDGE)
    (alert,) = outputs.alerts
    event = msgspec.json.decode(cloud_event(alert))
    assert event["type"] == "driftgauge.alert.acknowledged"
    assert (alert.state, alert.change, alert.notify) == ("firing", "acknowledged", False)
    assert alert.acknowledged is not None
    assert (alert.acknowledged.who, alert.acknowledged.note, alert.acknowledged.time) == (
        "ann",
        "looking",
        made.now,
    )
    assert alert.evidence.statistic == "mean_rank"
    assert alert.report.startswith("/reports/plant-1.0.0-")
    assert outputs.current["1.0.0"].alerts[0].acknowledged == "ann"


def test_a_command_is_applied_once() -> None:
    """What is read again after a crash between write and commit is passed over by its id."""
    state = fired()[1].state()
    assert len(apply(state, ACKNOWLEDGE).alerts) == 1
    assert apply(state, ACKNOWLEDGE).alerts == []
    assert state.progress.commands == "1-0"


def test_a_silence_holds_notifications_back() -> None:
    """Silenced for two hours of logical time, an alert is recorded and not notified; then what
    still fires is told.
    """
    made, found = fired()
    state = found.state()
    (alert,) = apply(state, commands.encode(SilenceAlert(SMOOTH, "ann", minutes=120))).alerts
    assert alert.silenced is not None
    assert alert.silenced.until == made.now + 120 * MINUTE
    assert msgspec.json.decode(cloud_event(alert))["type"] == "driftgauge.alert.silenced"


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (None, "not a command"),
        (b"{", "not a command"),
        (b'{"type":"dance"}', "not a command"),
        (b'{"type":"acknowledge","fingerprint":"x","who":"a"}', "not a command"),
        (b"[" * 100_000, "not a command"),
        (commands.encode(Acknowledge("0" * 16, "a")), "no open alert"),
        (commands.encode(SilenceAlert(SMOOTH, "a", until=1)), "is over"),
        (
            b'{"type":"silence","fingerprint":"%s","who":"a"}' % SMOOTH.encode(),
            "either `minutes` or `until`",
        ),
    ],
)
def test_what_cannot_be_applied_stops_nothing(packed: bytes | None, reason: str) -> None:
    """A malformed or pointless command is refused with a reason and counted; the next one is
    applied.
    """
    state = fired()[1].state()
    outputs = apply(state, packed, ACKNOWLEDGE)
    assert len(outputs.refused) == 1
    assert reason in outputs.refused[0]
    assert "command 1-0" in outputs.refused[0]
    assert state.progress.commands_refused == 1
    assert [alert.change for alert in outputs.alerts] == ["acknowledged"]


def test_a_command_for_a_model_that_was_never_judged() -> None:
    """The first thing that a judge reads may be a command."""
    assert "no open alert" in apply(JudgingState(), ACKNOWLEDGE).refused[0]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_command_or_refused(packed: bytes) -> None:
    """Whatever somebody writes to the stream, the step ends and counts it."""
    state = JudgingState()
    assert len(apply(state, packed).refused) == state.progress.commands_refused == 1


def incident_of(state: JudgingState) -> str:
    """Return the id of the only incident."""
    (incident,) = state.incidents.values()
    return incident.id


def test_an_incident_is_acknowledged_with_its_alerts() -> None:
    """The incident and each of its open alerts have the mark, in transitions that notify nobody."""
    _, found = fired()
    state = found.state()
    asked = commands.encode(Acknowledge(incident_of(state), "ann", "looking"))
    outputs = apply(state, asked)
    (incident,) = outputs.incidents
    assert (incident.change, incident.notify, incident.number) == ("acknowledged", False, 2)
    assert incident.acknowledged is not None
    assert (incident.acknowledged.who, incident.acknowledged.note) == ("ann", "looking")
    assert [alert.change for alert in outputs.alerts] == ["acknowledged"]
    event = msgspec.json.decode(cloud_event(incident))
    assert event["type"] == "driftgauge.incident.acknowledged"
    assert event["subject"] == f"1.0.0/{incident.id}"
    assert apply(state, asked).incidents == []


def test_a_silent_incident_gets_worse_in_silence() -> None:
    """While it is silenced a rise of its severity is recorded and not told."""
    made, found = fired()
    state = found.state()
    apply(state, commands.encode(SilenceAlert(incident_of(state), "ann", minutes=120)))
    known = len(made.entries)
    later = made.panes(6, shift=1.5).entries[known:]
    outputs = advance(state, later, "plant", VERSIONS, JudgingPolicy())
    worse = [one for one in outputs.incidents if one.change == "severity"]
    assert worse
    assert not any(one.notify for one in outputs.incidents)


def test_no_incident_is_no_error_that_stops() -> None:
    """What names nothing that is open is refused with a reason."""
    state = fired()[1].state()
    outputs = apply(state, commands.encode(Acknowledge("0" * 16, "ann")))
    assert "no open alert or incident has the id 0000000000000000" in outputs.refused[0]
    assert state.progress.commands_refused == 1


def test_silencing_its_alerts_one_by_one_mutes_the_incident() -> None:
    """Whoever follows the incident knows it at once, and that it is over again; what is forgotten
    of a day before changes nothing.
    """
    made, found = fired()
    state = found.state()
    (muted,) = apply(state, commands.encode(SilenceAlert(SMOOTH, "ann", minutes=1))).incidents
    assert (muted.change, muted.muted, muted.notify) == ("silenced", True, False)
    known = len(made.entries)
    later = made.panes(8, shift=0.1).entries[known:]
    outputs = advance(state, later, "plant", VERSIONS, JudgingPolicy())
    released = [one for one in outputs.incidents if not one.muted]
    assert released
    assert released[0].updated - muted.updated >= MINUTE


@pytest.mark.parametrize("whole", [True, False])
def test_an_end_in_a_silence_is_told_when_it_is_over(whole: bool) -> None:  # noqa: FBT001
    """It is recorded when it comes, and told at the end of the silence, days later, once; whether
    the incident was silenced or each of its alerts.
    """
    made, found = fired()
    fields, day = found.fields, 24 * 60 * MINUTE
    state = JudgingState.unpack(fields, SIZES)
    name = incident_of(state) if whole else SMOOTH
    until = made.now + 2 * day
    apply(state, commands.encode(SilenceAlert(name, "ann", until=until)))
    told: list[tuple[bool, int]] = []
    while made.now < until + day:
        known = len(made.entries)
        later = made.panes(1, seconds=3600).entries[known:]
        outputs = advance(state, later, "plant", VERSIONS, JudgingPolicy())
        told += [(one.notify, one.updated) for one in outputs.incidents if one.state == "resolved"]
    assert [notify for notify, _ in told] == [False, True]
    assert told[0][1] < until <= told[1][1] < until + 2 * 60 * MINUTE
    assert not state.incidents


@pytest.mark.parametrize("name", ["incident", "alert"])
def test_a_silence_is_the_same_wherever_a_step_ends(name: str) -> None:
    """Through a checkpoint after each pane, both edges of the silence and the end that is told
    after it are the transitions that one step writes.
    """
    made, found = fired()
    before = len(made.entries)
    asked = incident_of(found.state()) if name == "incident" else SMOOTH
    silence = commands.encode(SilenceAlert(asked, "ann", until=made.now + 30 * 60 * MINUTE))
    later = made.panes(40, seconds=3600).entries[before:]

    def judged(steps: list[list[tuple[str, PaneEntry]]]) -> list[Incident]:
        fields, incidents = dict(found.fields), []
        for number, step in enumerate(steps):
            state = JudgingState.unpack(fields, SIZES)
            commanded = [("1-0", silence)] if number == 0 else []
            outputs = advance(state, step, "plant", VERSIONS, JudgingPolicy(), commanded)
            incidents += outputs.incidents
            fields |= state.pack_changed()
            fields = {key: value for key, value in fields.items() if value}
        return incidents

    whole = judged([later])
    assert [one.change for one in whole if one.notify] == ["resolved"]
    assert judged([[one] for one in later]) == whole
