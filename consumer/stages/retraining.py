"""Retraining of one model: follows its incidents and runs the hook, once for each however many
workers there are.

The run is committed before it starts and after it ended. If a worker dies, is stopped or loses its
lease while the hook runs, the next owner runs it again with the same id. At most one attempt runs
at a time, since losing the lease ends the command. Hooks have threads of their own, so judging
never waits for one.
"""

import logging
import threading
from collections.abc import Callable, Generator, Sequence

import msgspec
import redis

from driftgauge.consumer.judging.incidents.retraining import RetrainingState, Run, RunResult
from driftgauge.consumer.retraining.command import run_command
from driftgauge.consumer.stages.follower import Done, Event, Hold, Sink
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.settings import Settings

log = logging.getLogger("driftgauge.retraining")

POLL_S = 0.1

Hook = Callable[[Run, threading.Event], RunResult]
"""A function that runs the hook to its end, or until the event is set."""


def hook_of(settings: Settings, name: str) -> Hook | None:
    """Return the configured hook, None if there is none; `name` is for the log."""
    timeout_s = settings.retrain_timeout_seconds
    if settings.retrain_command:
        return lambda run, cancelled: run_command(
            settings.retrain_command, name, run, timeout_s, cancelled
        )
    if settings.retrain_webhook is not None:
        from driftgauge.consumer.retraining.webhook import post  # loads an HTTP client

        address = settings.retrain_webhook.get_secret_value()
        return lambda run, cancelled: post(address, run, timeout_s, cancelled)
    return None


class Retraining(Sink):
    """Runs the hook for one model; follows its incidents.

    Parameters
    ----------
    client
        Redis client of the follower.
    stop
        The worker's stop event, which ends a current run.
    """

    name = "retraining"
    key = "retraining"
    from_beginning = False
    """Incidents from before the hook was configured are not its business, until they change."""

    def __init__(
        self, client: redis.Redis, settings: Settings, model: str, hook: Hook, stop: threading.Event
    ) -> None:
        self._client = client
        self._model = model
        self._cooldown_ms = int(settings.retrain_cooldown_hours * 3_600_000)
        self._hook = hook
        self._stop = stop
        self._state = RetrainingState()

    def load(self, state: bytes) -> None:
        self._state = (
            msgspec.json.decode(state, type=RetrainingState) if state else RetrainingState()
        )

    @property
    def waits(self) -> bool:
        """Whether an incident waits for the end of the cooldown."""
        return self._state.waits

    def take(self, events: Sequence[Event], hold: Hold) -> Generator[Done, None, None]:
        """Read incidents, and run the hook to its end for each that asks for retraining."""
        yield from self._take_up(hold)
        now = server_ms(self._client) if events or self._state.waits else 0
        for entry_id, event in events:
            self._state = self._state.read(event, now, self._cooldown_ms)
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
        found = self._state.due(now, self._cooldown_ms)
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
        name = f"retraining {self._model}"
        log.warning("%s: starting, attempt %d, for incident %s", name, run.attempt, run.id)
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
            return self._hook(run, cancelled)
        except Exception as error:
            log.exception("retraining %s: the hook failed", self._model)
            return RunResult(ok=False, detail=type(error).__name__)

    def _end(self, outcome: RunResult) -> Generator[Done, None, None]:
        self._state = self._state.end(outcome, server_ms(self._client))
        yield Done(state=self._packed())
        level = logging.INFO if outcome.ok else logging.ERROR
        how = "done" if outcome.ok else "failed"
        log.log(level, "retraining %s: %s (%s)", self._model, how, outcome.detail)

    def _packed(self) -> bytes:
        return msgspec.json.encode(self._state)
