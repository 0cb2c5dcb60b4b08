"""Retraining of one model: reads its alerts under a lease and runs the hook, so that any number of
workers run it once.

The run is committed before it starts and when it ended. What it may cost: a worker that dies, is
stopped or loses its lease while the hook runs leaves a run without an end; the next owner runs it
again, with the same id. At most one attempt runs at a time: losing the lease ends the command.
Judging has a thread and a connection of its own and never waits for this.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import redis

from driftgauge.consumer.judging.alerts.retraining import Outcome, RetrainingState, Run
from driftgauge.consumer.retraining.command import run_command
from driftgauge.consumer.retraining.webhook import post
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.consumer.stages.stage import CommitClock, Stage, read_streams
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings

log = logging.getLogger("driftgauge.retraining")

STATE = b"state"
POLL_S = 0.1

Hook = Callable[[Run, threading.Event], Outcome]
"""Carries a run out, until its end or until cancelled."""


def hook_of(settings: Settings, name: str) -> Hook | None:
    """Give the configured hook, if there is one."""
    timeout_s = settings.retrain_timeout_seconds
    if settings.retrain_command:
        return lambda run, cancelled: run_command(
            settings.retrain_command, name, run, timeout_s, cancelled
        )
    if settings.retrain_webhook is not None:
        address = settings.retrain_webhook.get_secret_value()
        return lambda run, cancelled: post(address, run, timeout_s, cancelled)
    return None


class RetrainingStage(Stage):
    """Runs the hook for one model.

    Parameters
    ----------
    client
        Of the model's slot, for this stage alone.
    stop
        The worker's: ends a run that is under way.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        model: str,
        hook: Hook,
        stop: threading.Event,
        *,
        keys: Keys,
    ) -> None:
        self.name = f"retraining {model}"
        self.client = client
        self.lease_ms = settings.lease_ms
        owner, epoch = keys.retraining_owner(model), keys.retraining_epoch(model)
        self.checkpoint = Checkpoint(client, keys.retraining(model), owner, epoch, self.lease_ms)
        self._alerts = keys.alerts(model)
        self._cooldown_ms = int(settings.retrain_cooldown_hours * 3_600_000)
        self._hook = hook
        self._stop = stop
        self._clock = CommitClock(settings.commit_ms, settings.lease_ms, 1)

    def load(self) -> None:
        """Take the state up; a run that was left without an end is run again."""
        self.check_types("stream", self._alerts)
        fields = self.checkpoint.load()
        last = self._last_id()
        if STATE in fields:
            self._state = msgspec.json.decode(fields[STATE], type=RetrainingState)
            if _number(last) < _number(
                self._state.offset
            ):  # a failover to an older replica: its ids come again
                self._commit(msgspec.structs.replace(self._state, offset=last))
        # alerts from before the hook was configured are not its business; their reminders are
        else:
            self._commit(RetrainingState(last))
        self._clock.reset()
        if self._state.exhausted:
            self._end(
                Outcome(
                    ok=False, detail="given up: its worker died or was stopped at every attempt"
                )
            )
        elif self._state.running is not None:
            self._commit(self._state.again())
            self._carry_out()

    def turn(self) -> None:
        """Read alerts; if one of them asks for it, run the hook to its end."""
        found = read_streams(self.client, {self._alerts: self._state.offset}, self._clock.left_ms)
        entries = [
            (entry_id.decode(), _event(fields)) for _, part in found for entry_id, fields in part
        ]
        if entries:
            self._commit(self._state.read(entries, self._now(), self._cooldown_ms))
        elif self._clock.renewal_due:
            self.checkpoint.renew()
            self._clock.reset()
        if self._state.running is not None:
            self._carry_out()

    def finish(self) -> None:
        """Nothing is left over: every turn commits what it did."""

    def _carry_out(self) -> None:
        """Run the hook beside us, hold the lease, and write down how it ended."""
        run = self._state.running
        assert run is not None  # noqa: S101  the callers looked
        log.warning("%s: starting, attempt %d, for alert %s", self.name, run.attempt, run.id)
        cancelled, outcomes = threading.Event(), list[Outcome]()
        thread = threading.Thread(
            target=lambda: outcomes.append(self._guarded(run, cancelled)), name=f"{self.name} hook"
        )
        thread.start()
        try:
            self._hold(thread)
        finally:
            cancelled.set()
            thread.join()
        if not self._stop.is_set() or outcomes[0].ok:
            self._end(outcomes[0])

    def _guarded(self, run: Run, cancelled: threading.Event) -> Outcome:
        """Whatever goes wrong in the hook is an outcome: it must not look like a run that was cut
        off.
        """
        try:
            return self._hook(run, cancelled)
        except Exception as error:
            log.exception("%s: the hook failed", self.name)
            return Outcome(ok=False, detail=type(error).__name__)

    def _hold(self, thread: threading.Thread) -> None:
        """Keep the lease until the hook has ended or the worker is to stop."""
        while thread.is_alive() and not self._stop.is_set():
            thread.join(POLL_S)
            if self._clock.renewal_due:
                self.checkpoint.renew()
                self._clock.reset()

    def _end(self, outcome: Outcome) -> None:
        self._commit(self._state.end(outcome, self._now()))
        level = logging.INFO if outcome.ok else logging.ERROR
        log.log(level, "%s: %s (%s)", self.name, "done" if outcome.ok else "failed", outcome.detail)

    def _commit(self, state: RetrainingState) -> None:
        self.checkpoint.commit({STATE: msgspec.json.encode(state)}, lambda _: None)
        self._state = state
        self._clock.reset()

    def _now(self) -> int:
        seconds, micros = self.client.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def _last_id(self) -> str:
        if not self.client.exists(self._alerts):
            return "0-0"
        details: Any = self.client.xinfo_stream(self._alerts)
        last: bytes = details["last-generated-id"]
        return last.decode()


def _event(fields: Any) -> bytes:
    found: dict[bytes, bytes] = dict(zip(fields[::2], fields[1::2], strict=True))
    return found.get(b"e", b"")


def _number(entry_id: str) -> tuple[int, int]:
    milliseconds, _, place = entry_id.partition("-")
    return int(milliseconds), int(place)
