"""Decides when to retrain. Pure: alert transitions and the time in, the next state out.

A run is written down before it starts and after it ended. So whoever finds a run that started and
did not end starts it again, under the same id: a run is never lost by a crash, and is repeated only
by one. Between two runs lies the cooldown, measured from start to start. What stands is told once,
so an alert that comes within it, or whose run failed, waits: it starts a run after the cooldown if
it fires still.
"""

from typing import Final

import msgspec

from driftgauge.shared.contract.alert import Alert, CloudEvent
from driftgauge.shared.contract.alerts import MARKS
from driftgauge.shared.rules import rule_of
from driftgauge.shared.unpacking import UNREADABLE

MAX_ATTEMPTS: Final = 3
"""Most attempts of one run, in case the run itself crashes the worker."""


class Run(msgspec.Struct, frozen=True):
    """A run that has started and not ended.

    Parameters
    ----------
    id
        Id of the alert's event, the same for every attempt, so that the receiver can recognise a
        repetition.
    event
        The alert as CloudEvents JSON.
    started
        Start of the first attempt, ms by Redis's clock.
    attempt
        Number of the attempt, from 1.
    """

    id: str
    event: str
    started: int
    attempt: int = 1


class RunResult(msgspec.Struct, frozen=True):
    """Result of a run."""

    ok: bool
    detail: str


class Ended(msgspec.Struct, frozen=True):
    """The latest run that ended; times in ms."""

    id: str
    started: int
    ended: int
    attempt: int
    outcome: RunResult


class RetrainingState(msgspec.Struct, frozen=True):
    """State of a model's retraining.

    Parameters
    ----------
    last_started
        Start of the latest run, ms; None if there was none.
    runs, failures
        Number of runs that ended, and how many of them failed.
    passed_over
        Alerts that came within a cooldown.
    waiting
        The alert, as CloudEvents JSON, that starts a run after the cooldown unless it resolves;
        empty without one.
    """

    last_started: int | None = None
    running: Run | None = None
    latest: Ended | None = None
    runs: int = 0
    failures: int = 0
    passed_over: int = 0
    waiting: str = ""

    def read(self, event: bytes, now: int, cooldown_ms: int) -> "RetrainingState":
        """Process the next alert transition, which starts a run if it asks for retraining.

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
            over = bool(self.waiting) and _is_end(event, self.waiting.encode())
            return msgspec.structs.replace(self, waiting="") if over else self
        if self._is_cooling(now, cooldown_ms):
            return msgspec.structs.replace(
                self, passed_over=self.passed_over + 1, waiting=event.decode()
            )
        run = Run(name, event.decode(), now)
        return msgspec.structs.replace(self, last_started=now, running=run, waiting="")

    def due(self, now: int, cooldown_ms: int) -> "RetrainingState":
        """Start the run that waits, if the cooldown is over; its id says that it is another one.

        Parameters
        ----------
        now
            Time in ms, by Redis's clock.
        """
        if not self.waiting or self.running is not None or self._is_cooling(now, cooldown_ms):
            return self
        name = f"{asks_for_it(self.waiting.encode())}-{self.runs + 1}"
        run = Run(name, self.waiting, now)
        return msgspec.structs.replace(self, last_started=now, running=run, waiting="")

    def _is_cooling(self, now: int, cooldown_ms: int) -> bool:
        return self.last_started is not None and now - self.last_started < cooldown_ms

    def again(self) -> "RetrainingState":
        """Begin another attempt of the run that did not end."""
        assert self.running is not None  # noqa: S101  the caller found one
        run = msgspec.structs.replace(self.running, attempt=self.running.attempt + 1)
        return msgspec.structs.replace(self, running=run)

    @property
    def exhausted(self) -> bool:
        """Whether the unfinished run has had all its attempts."""
        return self.running is not None and self.running.attempt >= MAX_ATTEMPTS

    def end(self, outcome: RunResult, now: int) -> "RetrainingState":
        """Record how the run ended."""
        run = self.running
        assert run is not None  # noqa: S101  it was carried out
        ended = Ended(run.id, run.started, now, run.attempt, outcome)
        failures = self.failures + (not outcome.ok)
        waiting = self.waiting if outcome.ok else self.waiting or run.event
        return msgspec.structs.replace(
            self,
            running=None,
            latest=ended,
            runs=self.runs + 1,
            failures=failures,
            waiting=waiting,
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
    except UNREADABLE:  # written by hand: no alert that judging raised
        return None
    critical = (
        rule_of(alert.rule).kind == "performance"
        and alert.severity == "critical"
        and alert.state == "firing"
    )
    return envelope.id if critical and alert.notify and alert.change not in MARKS else None


def _is_end(event: bytes, waiting: bytes) -> bool:
    """Return whether a transition ends the life of an alert that waits, or silences it."""
    try:
        ended, known = (
            msgspec.json.decode(msgspec.json.decode(one, type=CloudEvent).data, type=Alert)
            for one in (event, waiting)
        )
    except UNREADABLE:  # no alert that judging raised
        return False
    over = ended.state in {"resolved", "inactive"} or ended.change == "silenced"
    return ended.fingerprint == known.fingerprint and over
