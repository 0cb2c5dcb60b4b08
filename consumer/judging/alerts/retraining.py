"""When to retrain. Pure: alert transitions and the time in, the next state out.

A run is written down before it starts and after it ended. So whoever finds a run that started and
did not end starts it again, under the same id: a run is never lost by a crash, and is repeated only
by one. Between two runs lies the cooldown, measured from start to start; alerts within it are
passed over, since their reminders come again.
"""

from typing import Final

import msgspec

from driftgauge.shared.contract.alert import Alert, CloudEvent
from driftgauge.shared.contract.alerts import MARKS
from driftgauge.shared.rules import rule_of

MAX_ATTEMPTS: Final = 3
"""Starts of one run: one that takes its worker down with it must not do so for ever."""


class Run(msgspec.Struct, frozen=True):
    """A run that has started and not ended.

    Parameters
    ----------
    id
        Of the alert's event: the same for every attempt, so that the receiver can tell a
        repetition.
    event
        The alert as CloudEvents JSON.
    started
        Of the first attempt, ms by Redis's clock.
    attempt
        From 1.
    """

    id: str
    event: str
    started: int
    attempt: int = 1


class Outcome(msgspec.Struct, frozen=True):
    """How a run ended."""

    ok: bool
    detail: str


class Ended(msgspec.Struct, frozen=True):
    """The latest run that ended; times in ms."""

    id: str
    started: int
    ended: int
    attempt: int
    outcome: Outcome


class RetrainingState(msgspec.Struct, frozen=True):
    """What is known of a model's retraining.

    Parameters
    ----------
    last_started
        Start of the latest run, ms; None if there was none.
    runs, failures
        Runs that ended, and those of them that failed.
    passed_over
        Alerts that came within a cooldown.
    """

    last_started: int | None = None
    running: Run | None = None
    latest: Ended | None = None
    runs: int = 0
    failures: int = 0
    passed_over: int = 0

    def read(self, event: bytes, now: int, cooldown_ms: int) -> "RetrainingState":
        """Take in the next alert transition, which starts a run if it asks for one.

        Parameters
        ----------
        event
            The transition as CloudEvents JSON.
        now
            Time in ms, by Redis's clock.

        Examples
        --------
        >>> RetrainingState().read(b"no alert", now=0, cooldown_ms=1000) == RetrainingState()
        True
        """
        name = asks_for_it(event)
        if name is None:
            return self
        if self.last_started is not None and now - self.last_started < cooldown_ms:
            return msgspec.structs.replace(self, passed_over=self.passed_over + 1)
        run = Run(name, event.decode(), now)
        return msgspec.structs.replace(self, last_started=now, running=run)

    def again(self) -> "RetrainingState":
        """Begin another attempt of the run that did not end."""
        assert self.running is not None  # noqa: S101  the caller found one
        run = msgspec.structs.replace(self.running, attempt=self.running.attempt + 1)
        return msgspec.structs.replace(self, running=run)

    @property
    def exhausted(self) -> bool:
        """Whether the run that did not end had all its attempts."""
        return self.running is not None and self.running.attempt >= MAX_ATTEMPTS

    def end(self, outcome: Outcome, now: int) -> "RetrainingState":
        """Write down how the run ended."""
        run = self.running
        assert run is not None  # noqa: S101  it was carried out
        ended = Ended(run.id, run.started, now, run.attempt, outcome)
        failures = self.failures + (not outcome.ok)
        return msgspec.structs.replace(
            self, running=None, latest=ended, runs=self.runs + 1, failures=failures
        )


def asks_for_it(event: bytes) -> str | None:
    """Return the id of a transition that asks for a retraining; None if it does not.

    It is a performance alert, of the model or of a segment, that is critical and fires: new, risen,
    released or reminded of. One that another alert explains (a segment's, if the model fell) or
    that is silenced asks for nothing: it has `notify` false.
    """
    try:
        envelope = msgspec.json.decode(event, type=CloudEvent)
        alert = msgspec.json.decode(envelope.data, type=Alert)
    except (
        msgspec.MsgspecError,
        UnicodeDecodeError,
    ):  # written by hand: no alert that judging raised
        return None
    critical = (
        rule_of(alert.rule).kind == "performance"
        and alert.severity == "critical"
        and alert.state == "firing"
    )
    return envelope.id if critical and alert.notify and alert.change not in MARKS else None
