"""What the policy file states of a model, and where in the log that was taken up."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Annotated, Final, Literal, TypeVar

import msgspec

from driftgauge.consumer.judging.policy import FairnessLimit, JudgingPolicy, Threshold
from driftgauge.shared.performance import Worth
from driftgauge.shared.policies.agreed import Origin

MINUTE_MS: Final = 60_000
POLICIES_REMEMBERED: Final = 50
MOST_MINUTES: Final = 10_000_000
"""Longest time (min) that a file may state, which is 19 years."""
Limit = TypeVar("Limit", Threshold, FairnessLimit)
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Minutes = Annotated[float, msgspec.Meta(ge=0, le=MOST_MINUTES)]


class ModelPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Settings of one model in the file; None keeps the setting as it is."""

    policy: Literal["standard", "classic"] | None = None
    false_alarms_per_month: Positive | None = None
    psi_warning: Positive | None = None
    psi_critical: Positive | None = None
    cooldown_minutes: Minutes | None = None
    renotify_minutes: Minutes | None = None
    renotify_max_minutes: Annotated[float, msgspec.Meta(ge=1, le=MOST_MINUTES)] | None = None
    outcome: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    thresholds: list[Threshold] = []
    fairness: list[FairnessLimit] = []
    value: Worth | None = None

    def apply(self, policy: JudgingPolicy) -> JudgingPolicy:
        """Return a policy with what is said here in place of its own."""
        changes = {
            "kind": self.policy,
            "false_alarms_per_month": self.false_alarms_per_month,
            "psi_warning": self.psi_warning,
            "psi_critical": self.psi_critical,
            "cooldown_ms": _ms(self.cooldown_minutes),
            "renotify_ms": _ms(self.renotify_minutes),
            "renotify_max_ms": _ms(self.renotify_max_minutes),
            "outcome": self.outcome,
            "value": self.value,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(
            policy,
            thresholds=tuple(_joined(policy.thresholds, self.thresholds, _limited)),
            fairness=tuple(_joined(policy.fairness, self.fairness, _compared)),
            **given,  # type: ignore[arg-type]  # by their names
        )

    def under(self, own: "ModelPolicy") -> "ModelPolicy":
        """Return what a model's own table says, and this one where that says nothing."""
        values = {
            name: ours if theirs is None else theirs
            for name in self.__struct_fields__
            if name not in {"thresholds", "fairness"}
            for ours, theirs in ((getattr(self, name), getattr(own, name)),)
        }
        return ModelPolicy(
            **values,
            thresholds=list(_joined(self.thresholds, own.thresholds, _limited)),
            fairness=list(_joined(self.fairness, own.fairness, _compared)),
        )


class Proposal(msgspec.Struct, frozen=True):
    """What a policy file states of a model, and which file."""

    said: ModelPolicy
    origin: Origin


class PolicyChange(msgspec.Struct, frozen=True):
    """A policy of a model, with the place of the log from which on it is in force.

    Parameters
    ----------
    number
        Number of the change, from 1.
    said
        What the file states of the model.
    origin
        The file.
    time
        Logical time (ms) at which it was taken up.
    judged
        Number of panes that were judged before.
    offsets
        For each partition the id of the last entry of its panes that was read before.
    """

    number: int
    said: ModelPolicy
    origin: Origin
    time: int
    judged: int = 0
    offsets: dict[int, str] = {}

    def yields_to(self, proposal: Proposal) -> bool:
        """Return whether a proposal is to be taken up in place of this policy: that of a newer file
        that states something else.
        """
        return proposal.origin.order > self.origin.order and proposal.said != self.said


def _joined(
    known: Iterable[Limit], own: list[Limit], on: Callable[[Limit], object]
) -> Iterator[Limit]:
    """Yield the limits that are known, and the own ones in place of those on the same."""
    said = {on(one) for one in own}
    yield from (one for one in known if on(one) not in said)
    yield from own


def _limited(one: Threshold) -> tuple[str, str | None]:
    return one.metric, one.feature


def _compared(one: FairnessLimit) -> tuple[str, str]:
    return one.measure, one.feature


def _ms(minutes: float | None) -> int | None:
    return None if minutes is None else round(minutes * MINUTE_MS)
