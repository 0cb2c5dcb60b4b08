"""The policy file: the rules of each model, as TOML. Pure: text in, changed policy out.

[default]                      # every model
cooldown_minutes = 60

[models.steel]                 # this one; what it does not say, the default says
policy = "classic"
[[models.steel.thresholds]]
metric = "wasserstein"
feature = "temperature"
warning = 2.5
"""

from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from driftgauge.consumer.judging.policy import JudgingPolicy, Threshold
from driftgauge.consumer.judging.rules.metrics import MODEL_METRICS, column_metrics
from driftgauge.shared.errors import ConfigurationError

MINUTE_MS = 60_000
Positive = Annotated[float, msgspec.Meta(gt=0)]


class ModelPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of one model in the file; None keeps the setting as it is."""

    policy: Literal["standard", "classic"] | None = None
    false_alarms_per_month: Positive | None = None
    psi_warning: Positive | None = None
    psi_critical: Positive | None = None
    cooldown_minutes: Annotated[float, msgspec.Meta(ge=0)] | None = None
    renotify_minutes: Annotated[float, msgspec.Meta(ge=0)] | None = None
    renotify_max_minutes: Annotated[float, msgspec.Meta(ge=1)] | None = None
    thresholds: list[Threshold] = []


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    default: ModelPolicy = ModelPolicy()
    models: dict[str, ModelPolicy] = {}

    def apply(self, policy: JudgingPolicy, model: str) -> JudgingPolicy:
        """Return a model's policy: that of the settings, overridden by the default table, then by
        the model's own table.
        """
        return _apply(_apply(policy, self.default), self.models.get(model, ModelPolicy()))


def read_policy(text: bytes, name: str) -> PolicyFile:
    r"""Read and check a policy file; `name` is for the message.

    Raises
    ------
    ConfigurationError
        If the file cannot be used; the message says where the fault is.

    Examples
    --------
    >>> file = read_policy(b'[models.steel]\npolicy = "classic"', "policy.toml")
    >>> file.apply(JudgingPolicy(), "steel").kind, file.apply(JudgingPolicy(), "bikes").kind
    ('classic', 'standard')
    """
    try:
        found = msgspec.toml.decode(text, type=PolicyFile)
    except (msgspec.MsgspecError, ValueError) as error:  # not TOML, or not of this form
        raise ConfigurationError(f"The policy file {name} cannot be used: {error}.") from error
    for table, policy in (
        ("default", found.default),
        *((f"models.{model}", one) for model, one in found.models.items()),
    ):
        for fault in _faults(policy):
            raise ConfigurationError(f"The policy file {name} cannot be used: [{table}] {fault}.")
    return found


def _faults(policy: ModelPolicy) -> list[str]:
    faults = [fault for threshold in policy.thresholds for fault in _threshold_faults(threshold)]
    named = [(one.metric, one.feature) for one in policy.thresholds]
    faults += [
        f"limits {metric} of {feature or 'all columns'} twice"
        for metric, feature in set(named)
        if named.count((metric, feature)) > 1
    ]
    if policy.psi_warning and policy.psi_critical and policy.psi_warning > policy.psi_critical:
        faults.append("has a psi_warning above its psi_critical")
    return faults


def _threshold_faults(one: Threshold) -> list[str]:
    if one.metric not in column_metrics() and one.metric not in MODEL_METRICS:
        known = ", ".join(sorted({*column_metrics(), *MODEL_METRICS}))
        return [f"limits {one.metric!r}, which is no published metric (there are: {known})"]
    if one.metric in MODEL_METRICS and one.feature is not None:
        return [f"limits {one.metric} of a feature, but it is the model's: leave `feature` out"]
    if one.warning is None and one.critical is None:
        return [f"limits {one.metric} by neither `warning` nor `critical`"]
    if one.warning is not None and one.critical is not None:
        apart = (
            one.critical - one.warning if one.direction == "above" else one.warning - one.critical
        )
        return (
            []
            if apart >= 0
            else [f"limits {one.metric} with a `critical` that is reached before `warning`"]
        )
    return []


def _apply(policy: JudgingPolicy, said: ModelPolicy) -> JudgingPolicy:
    changes = {
        "kind": said.policy,
        "false_alarms_per_month": said.false_alarms_per_month,
        "psi_warning": said.psi_warning,
        "psi_critical": said.psi_critical,
        "cooldown_ms": None
        if said.cooldown_minutes is None
        else round(said.cooldown_minutes * MINUTE_MS),
        "renotify_ms": None
        if said.renotify_minutes is None
        else round(said.renotify_minutes * MINUTE_MS),
        "renotify_max_ms": None
        if said.renotify_max_minutes is None
        else round(said.renotify_max_minutes * MINUTE_MS),
    }
    own = {(one.metric, one.feature) for one in said.thresholds}
    kept = [one for one in policy.thresholds if (one.metric, one.feature) not in own]
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(policy, thresholds=(*kept, *said.thresholds), **given)  # type: ignore[arg-type]  # by their names
