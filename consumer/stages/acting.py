"""A hook of one model: follows its incidents and runs a command or a webhook, once for each however
many workers there are.

The run is committed before it starts and after it ended. If a worker dies, is stopped or loses its
lease while the hook runs, the next owner runs it again with the same id. At most one attempt runs
at a time, since losing the lease ends the command. Hooks have threads of their own, so judging
never waits for one.
"""

import logging
import threading
from collections.abc import Callable, Generator, Sequence
from typing import ClassVar, Final

import msgspec
import redis

from driftgauge.consumer.hooks.command import run_command
from driftgauge.consumer.judging.incidents.hooks import (
    RETRAINING,
    ROLLBACK,
    Hook,
    HookState,
    Run,
    RunResult,
)
from driftgauge.consumer.stages.follower import Done, Event, Hold, Sink
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.settings import Settings

POLL_S = 0.1

Carrier = Callable[[Run, threading.Event], RunResult]
"""A function that carries a run out to its end, or until the event is set."""


class Acting(Sink):
    """Runs a hook for one model; follows its incidents.

    Parameters
    ----------
    client
        Redis client of the follower.
    carrier
        Carries out what the hook is configured to be.
    stop
        The worker's stop event, which ends a current run.
    """

    hook: ClassVar[Hook]
    from_beginning = False
    """Incidents from before the hook was configured are not its business, until they change."""

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        model: str,
        carrier: Carrier,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._model = model
        self._cooldown_ms = settings.hook(self.hook.setting).cooldown_ms
        self._carrier = carrier
        self._stop = stop
        self._state = HookState()
        self._log = logging.getLogger(f"driftgauge.{self.name}")

    @classmethod
    def carrier(cls, settings: Settings, model: str) -> Carrier | None:
        """Return what carries the hook out as it is configured; None if it is not."""
        given = settings.hook(cls.hook.setting)
        if given.command:
            return lambda run, cancelled: run_command(
                cls.hook, given.command, model, run, given.timeout_s, cancelled
            )
        if given.webhook is not None:
            from driftgauge.consumer.hooks.webhook import post  # loads an HTTP client

            address = given.webhook.get_secret_value()
            return lambda run, cancelled: post(address, run, given.timeout_s, cancelled)
        return None

    def load(self, state: bytes) -> None:
        self._state = msgspec.json.decode(state, type=HookState) if state else HookState()

    @property
    def waits(self) -> bool:
        """Whether an incident waits for the end of the cooldown."""
        return self._state.waits_for(self.hook)

    def take(self, events: Sequence[Event], hold: Hold) -> Generator[Done, None, None]:
        """Read incidents, and run the hook to its end for each that asks for it."""
        yield from self._take_up(hold)
        now = server_ms(self._client) if events or self.waits else 0
        for entry_id, event in events:
            self._state = self._state.read(self.hook, event, now, self._cooldown_ms)
            if self._state.running is None:
                continue
            yield Done(entry_id, self._packed())
            yield from self._carry_out(hold)
            if self._state.running is not None:  # the worker is to stop
                return
            now = server_ms(self._client)
        if events:
            yield Done(events[-1][0], self._packed())
        yield from self._start_waiting(now, hold)

    def _start_waiting(self, now: int, hold: Hold) -> Generator[Done, None, None]:
        """Run the hook for the incidents that waited for the cooldown's end, if it is over."""
        found = self._state.due(self.hook, now, self._cooldown_ms)
        if found is not self._state:
            self._state = found
            yield Done(state=self._packed())
            yield from self._carry_out(hold)

    def _take_up(self, hold: Hold) -> Generator[Done, None, None]:
        """Repeat an unfinished run, unless it has had all its attempts."""
        if self._state.exhausted:
            detail = "given up: its worker died or was stopped at every attempt"
            yield from self._end(RunResult(ok=False, detail=detail))
        elif self._state.running is not None:
            self._state = self._state.again()
            yield Done(state=self._packed())
            yield from self._carry_out(hold)

    def _carry_out(self, hold: Hold) -> Generator[Done, None, None]:
        """Run the hook in a thread, keep the lease meanwhile, and record the result."""
        run = self._state.running
        assert run is not None  # noqa: S101  the callers looked
        name = f"{self.name} {self._model}"
        self._log.warning("%s: starting, attempt %d, for incident %s", name, run.attempt, run.id)
        cancelled, outcomes = threading.Event(), list[RunResult]()
        thread = threading.Thread(
            target=lambda: outcomes.append(self._guarded(run, cancelled)), name=f"{name} hook"
        )
        thread.start()
        try:
            while thread.is_alive() and not self._stop.is_set():
                thread.join(POLL_S)
                hold()
        finally:
            cancelled.set()
            thread.join()
        if not self._stop.is_set() or outcomes[0].ok:
            yield from self._end(outcomes[0])

    def _guarded(self, run: Run, cancelled: threading.Event) -> RunResult:
        """Run the hook; an exception becomes a failed result, not an unfinished run."""
        try:
            return self._carrier(run, cancelled)
        except Exception as error:  # noqa: BLE001  it is logged, and is the result of the run
            self._log.exception("%s %s: the hook failed", self.name, self._model)
            return RunResult(ok=False, detail=type(error).__name__)

    def _end(self, outcome: RunResult) -> Generator[Done, None, None]:
        self._state = self._state.end(outcome, server_ms(self._client))
        yield Done(state=self._packed())
        level = logging.INFO if outcome.ok else logging.ERROR
        how = "done" if outcome.ok else "failed"
        self._log.log(level, "%s %s: %s (%s)", self.name, self._model, how, outcome.detail)

    def _packed(self) -> bytes:
        return msgspec.json.encode(self._state)


class Retraining(Acting):
    """Runs the hook of the incidents that are mended by a retraining."""

    hook = RETRAINING
    name = key = RETRAINING.name


class Rollback(Acting):
    """Runs the hook of the incidents that are mended by a rollback."""

    hook = ROLLBACK
    name = key = ROLLBACK.name


ACTING: Final = (Retraining, Rollback)
