"""How a worker stands: what its port tells as metrics, and whether it lives and is ready."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import msgspec

from driftgauge.consumer.metrics.table import WORKER
from driftgauge.consumer.metrics.told import Told
from driftgauge.consumer.running.duty import Duty
from driftgauge.consumer.running.tally import BOUNDS_S, FAILURES, Tally
from driftgauge.shared.local.usage import USAGE, add_usage, usage
from driftgauge.shared.metrics.text import Exposition, labels

STALLED_S: Final = 30.0
"""Time (s) without a round of the main thread, after which the worker is not ready: it renews no
lease."""
DEAD_S: Final = 120.0
"""The same, after which it does not live: to start it again is all that helps. A round waits a few
times for a Redis that does not answer, 5 s each."""
MOST_NAMED: Final = 20
"""Most stages that are named as failing."""


class Readiness(msgspec.Struct, frozen=True):
    """Whether a worker works; `reasons` say why not, or what of it does not."""

    status: Literal["ready", "degraded"]
    reasons: list[str] | None = None


class Stands(Protocol):
    """How a worker stands, be it one process or two."""

    @property
    def lives(self) -> bool:
        """Whether it lives; if not, to start it again is all that helps."""

    @property
    def hindrances(self) -> list[str]:
        """Why it cannot work at all; nothing if it can."""

    @property
    def failing(self) -> list[str]:
        """What of it fails again and again."""

    def exposed(self) -> Exposition:
        """Return its metrics."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A worker as it stands now.

    Parameters
    ----------
    duties
        All stages that it knows, whoever owns them.
    models
        Number of models that it knows.
    fault
        Why Redis cannot be worked with, in a sentence; empty if it can.
    looked
        Whether it has looked for models since it started.
    round_at
        Begin of the latest round of its main thread, by the monotonic clock (s).
    policy
        Why its changed policy file is refused, in a sentence; empty if it is not.
    """

    duties: Sequence[Duty]
    models: int
    fault: str
    looked: bool
    round_at: float
    policy: str = ""

    @property
    def lives(self) -> bool:
        """Whether its main thread goes round."""
        return time.monotonic() - self.round_at < DEAD_S

    @property
    def hindrances(self) -> list[str]:
        """Why it cannot work at all; nothing if it can."""
        found = [self.fault] if self.fault else []
        if not self.looked:
            found.append("It has not looked for models yet.")
        stalled_s = time.monotonic() - self.round_at
        if stalled_s > STALLED_S:
            found.append(f"Its main thread has not gone round for {stalled_s:.0f} s.")
        return found

    @property
    def failing(self) -> list[str]:
        """Which of its stages fail again and again, and whether its policy file is refused; its log
        says why.
        """
        names = sorted(duty.name for duty in self.duties if duty.fails)
        more = [f"and {len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
        named = [f"{name} fails again and again; the log says why." for name in names]
        refused = [self.policy] if self.policy else []
        return [*named[:MOST_NAMED], *more, *refused]

    def exposed(self) -> Exposition:
        """Return its metrics."""
        text = Exposition({**WORKER, **USAGE})
        self.add_stages(text)
        text.add("driftgauge_worker_redis_up", not self.fault)
        text.add("driftgauge_worker_models", self.models)
        add_usage(text)
        return text

    def told(self) -> Told:
        """Return it as plain values, for another process."""
        text = Exposition(WORKER)
        self.add_stages(text)
        return Told(
            text.lines,
            usage(),
            self.models,
            not self.fault,
            self.lives,
            self.hindrances,
            self.failing,
        )

    def add_stages(self, text: Exposition) -> None:
        """Add what its stages do."""
        now_ms = time.time_ns() // 1_000_000
        found: dict[tuple[str, str], list[Duty]] = defaultdict(list)
        for duty in self.duties:
            found[duty.tally.stage, duty.tally.model].append(duty)
        for (stage, model), duties in sorted(found.items()):
            _add_work(text, labels(stage=stage, model=model), duties, now_ms)
        for stage in sorted({stage for stage, _ in found}):
            _add_stage(text, stage, [one for one in self.duties if one.tally.stage == stage])


def _add_work(text: Exposition, given: str, duties: Sequence[Duty], now_ms: int) -> None:
    """Add what was done in the stages of one kind for one model; nothing before anything was."""
    tallies = [duty.tally for duty in duties]
    if not any(one.takeovers for one in tallies):
        return
    text.add("driftgauge_stage_seconds_total", sum(one.seconds for one in tallies), given)
    text.add("driftgauge_stage_commits_total", sum(one.commits for one in tallies), given)
    if tallies[0].stage == "archiving":
        removed = sum(one.days_removed for one in tallies)
        text.add("driftgauge_archive_expired_total", removed, labels(model=tallies[0].model))
    owned = [duty.tally for duty in duties if duty.owned]
    if owned:
        lag_s = max(one.lag_s(now_ms) for one in owned)
        text.add("driftgauge_stage_lag_seconds", lag_s, given)
    failures = sum((one.failures for one in tallies), Counter[str]())
    for why in FAILURES:
        text.add("driftgauge_stage_failures_total", failures[why], f"{given},{labels(reason=why)}")


def _add_stage(text: Exposition, stage: str, duties: Sequence[Duty]) -> None:
    """Add what the stages of one kind have in common."""
    given, tallies = labels(stage=stage), [duty.tally for duty in duties]
    text.add("driftgauge_leases_held", sum(duty.owned for duty in duties), given)
    text.add("driftgauge_takeovers_total", sum(one.takeovers for one in tallies), given)
    text.histogram(
        "driftgauge_stage_spell_duration_seconds",
        BOUNDS_S,
        _summed(tallies),
        sum(one.spell_s for one in tallies),
        given,
    )


def _summed(tallies: Sequence[Tally]) -> list[int]:
    return [sum(numbers) for numbers in zip(*(one.spells for one in tallies), strict=True)]
