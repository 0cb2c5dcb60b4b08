"""Decides when a hook runs. Pure: incident transitions and the time in, the next state out.

An incident that asks for a hook's action leads to one run that succeeds, however many of its alerts
fire and whatever is written of it afterwards. A run is written down before it starts and after it
ended. So whoever finds a run that started and did not end starts it again, under the same id: a run
is never lost by a crash, and is repeated only by one. Between two runs lies the cooldown, measured
from start to start.

An incident that comes within the cooldown, or whose run failed, waits for a retraining: it starts a
run after the cooldown if it still asks for one. One run serves all incidents that wait, since it
trains on the same rows. Nothing waits for a rollback, which is right for what is in production now
and may be wrong for what is there a day later: only news of the incident that come after the
cooldown, and still ask for one, start it.
"""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from driftgauge.shared.contract.alert import Action, CloudEvent
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.unpacking import UNREADABLE

MAX_ATTEMPTS: Final = 3
"""Most attempts of one run, in case the run itself crashes the worker."""
REMEMBERED: Final = 100
"""Most incidents that wait, and most whose run succeeded, that are remembered; the latest are."""


@dataclass(frozen=True, slots=True)
class Hook:
    """What an incident can start.

    Parameters
    ----------
    name
        Name of its stage and of its keys in Redis.
    setting
        Begin of the names of its settings, such as `retrain` of `retrain_command`.
    action
        The action of the incidents that ask for it.
    waits
        Whether an incident that cannot start it at once does so after the cooldown.
    """

    name: str
    setting: Literal["retrain", "rollback"]
    action: Action
    waits: bool

    def asked_by(self, incident: Incident) -> bool:
        """Return whether a transition of an incident asks for it: it is open, critical and mended
        by it, and not silenced.
        """
        return (
            incident.state == "open"
            and incident.severity == "critical"
            and incident.action == self.action
            and not incident.muted
        )


RETRAINING: Final = Hook("retraining", "retrain", "retrain", waits=True)
ROLLBACK: Final = Hook("rollback", "rollback", "roll_back", waits=False)
HOOKS: Final = (RETRAINING, ROLLBACK)


class Run(msgspec.Struct, frozen=True):
    """A run that has started and not ended.

    Parameters
    ----------
    id
        Id of the incident's event, the same for every attempt, so that the receiver can recognise a
        repetition.
    event
        The incident as CloudEvents JSON.
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


class HookState(msgspec.Struct, frozen=True):
    """State of a hook of a model.

    Parameters
    ----------
    last_started
        Start of the latest run, ms; None if there was none.
    runs, failures
        Number of runs that ended, and how many of them failed.
    passed_over
        Incidents that came within a cooldown.
    asking
        Incidents that ask for a run that has not succeeded, by id, as CloudEvents JSON.
    served
        Ids of the latest incidents whose run succeeded.
    """

    last_started: int | None = None
    running: Run | None = None
    latest: Ended | None = None
    runs: int = 0
    failures: int = 0
    passed_over: int = 0
    asking: dict[str, str] = {}
    served: tuple[str, ...] = ()

    def read(self, hook: Hook, event: bytes, now: int, cooldown_ms: int) -> "HookState":
        """Process the next transition of an incident, which starts a run if it asks for the hook.

        Parameters
        ----------
        event
            The transition as CloudEvents JSON.
        now
            Time in ms, by Redis's clock.

        Examples
        --------
        >>> HookState().read(RETRAINING, b"no incident", now=0, cooldown_ms=1000) == HookState()
        True
        """
        try:
            envelope = msgspec.json.decode(event, type=CloudEvent)
            incident = msgspec.json.decode(envelope.data, type=Incident)
        except UNREADABLE:  # written by hand: no incident that judging wrote
            return self
        known = incident.id in self.asking
        others = {name: one for name, one in self.asking.items() if name != incident.id}
        if not hook.asked_by(incident):
            return msgspec.structs.replace(self, asking=others) if known else self
        if incident.id in self.served:
            return self
        waiting = dict([*others.items(), (incident.id, event.decode())][-REMEMBERED:])
        if not (known and hook.waits) and not self._is_cooling(now, cooldown_ms):
            return self._started(envelope.id, waiting, now)
        passed_over = self.passed_over + (not known)
        return msgspec.structs.replace(self, asking=waiting, passed_over=passed_over)

    def due(self, hook: Hook, now: int, cooldown_ms: int) -> "HookState":
        """Start a run for the incidents that wait, if the cooldown is over; its id says that it is
        another one.

        Parameters
        ----------
        now
            Time in ms, by Redis's clock.
        """
        if not self.waits_for(hook) or self._is_cooling(now, cooldown_ms):
            return self
        latest = list(self.asking.values())[-1]
        name = msgspec.json.decode(latest, type=CloudEvent).id
        return self._started(f"{name}-{self.runs + 1}", self.asking, now)

    def waits_for(self, hook: Hook) -> bool:
        """Return whether an incident waits for the end of the cooldown."""
        return hook.waits and bool(self.asking) and self.running is None

    def _started(self, name: str, asking: dict[str, str], now: int) -> "HookState":
        """Start a run for the incidents that ask for one, in the words of the latest."""
        run = Run(name, list(asking.values())[-1], now)
        return msgspec.structs.replace(self, last_started=now, running=run, asking=asking)

    def _is_cooling(self, now: int, cooldown_ms: int) -> bool:
        return self.last_started is not None and now - self.last_started < cooldown_ms

    def again(self) -> "HookState":
        """Begin another attempt of the run that did not end."""
        assert self.running is not None  # noqa: S101  the caller found one
        run = msgspec.structs.replace(self.running, attempt=self.running.attempt + 1)
        return msgspec.structs.replace(self, running=run)

    @property
    def exhausted(self) -> bool:
        """Whether the unfinished run has had all its attempts."""
        return self.running is not None and self.running.attempt >= MAX_ATTEMPTS

    def end(self, outcome: RunResult, now: int) -> "HookState":
        """Record how the run ended."""
        run = self.running
        assert run is not None  # noqa: S101  it was carried out
        ended = Ended(run.id, run.started, now, run.attempt, outcome)
        served = tuple(self.asking) if outcome.ok else ()
        return msgspec.structs.replace(
            self,
            running=None,
            latest=ended,
            runs=self.runs + 1,
            failures=self.failures + (not outcome.ok),
            asking={} if outcome.ok else self.asking,
            served=(*self.served, *served)[-REMEMBERED:],
        )
