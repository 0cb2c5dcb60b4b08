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
from tests.consumer.judging.builders import VERSIONS, EvaluatedWindow, Stream, judge
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
