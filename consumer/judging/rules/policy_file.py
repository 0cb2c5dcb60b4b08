"""The policy file: the rules of each model, as TOML. Pure: text in, changed policy out.

[default]                      # every model
cooldown_minutes = 60

[models.steel]                 # this one; what it does not say, the default says
policy = "classic"
[[models.steel.thresholds]]
metric = "wasserstein"
feature = "temperature"
warning = 2.5

[[routes]]                     # whom to tell: see consumer/notifying/routes.py
name = "on-call"
target = { type = "webhook", url_env = "ON_CALL_URL" }
"""

from collections.abc import Iterator
from math import isfinite
from typing import Any, Final

import msgspec

from driftgauge.consumer.judging.policy import FairnessLimit, JudgingPolicy, Threshold
from driftgauge.consumer.judging.rules.metrics import MODEL_METRICS, column_metrics
from driftgauge.consumer.judging.stated import ModelPolicy
from driftgauge.consumer.notifying import routes
from driftgauge.consumer.notifying.routes import Route
from driftgauge.shared.errors import PolicyRefused
from driftgauge.shared.performance import MEASURES
from driftgauge.shared.policies.lines import TomlFault, converted, line_of, parsed
from driftgauge.shared.policies.places import Place

MOST_BYTES: Final = 262_144
"""Longest policy file: it is kept in Redis, and the part of a model in the model's checkpoint."""


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole file."""

    default: ModelPolicy = ModelPolicy()
    models: dict[str, ModelPolicy] = {}
    routes: tuple[Route, ...] = ()

    def of(self, model: str) -> ModelPolicy:
        """Return what is said of a model, by its own table or by the default."""
        return self.default.under(self.models.get(model, ModelPolicy()))

    def apply(self, policy: JudgingPolicy, model: str) -> JudgingPolicy:
        """Return a model's policy: that of the settings, overridden by the default table, then by
        the model's own table.
        """
        return self.of(model).apply(policy)


def read_policy(text: bytes, name: str) -> PolicyFile:
    r"""Read and check a policy file; `name` is for the message.

    Raises
    ------
    PolicyRefused
        If the file cannot be used; the message says at which line, and why.

    Examples
    --------
    >>> file = read_policy(b'[models.steel]\npolicy = "classic"', "policy.toml")
    >>> file.apply(JudgingPolicy(), "steel").kind, file.apply(JudgingPolicy(), "bikes").kind
    ('classic', 'standard')
    """
    try:
        return _read(text)
    except TomlFault as fault:
        raise PolicyRefused(name, fault.line, fault.reason) from fault


def _read(text: bytes) -> PolicyFile:
    if len(text) > MOST_BYTES:
        raise TomlFault(1, f"it has {len(text):,} bytes, and may have {MOST_BYTES:,}")
    tables = parsed(text)
    default = converted(text, tables.pop("default", {}), ("default",), ModelPolicy)
    named = converted(text, tables.pop("models", {}), ("models",), dict[str, Any])
    found = converted(text, tables.pop("routes", []), ("routes",), tuple[Route, ...])
    for name in tables:
        known = "[default], [models.NAME], [[routes]]"
        raise TomlFault(line_of(text, (name,)), f"no table is named {name!r} (there are: {known})")
    models = {
        model: converted(text, found, ("models", model), ModelPolicy)
        for model, found in named.items()
    }
    file = PolicyFile(default, models, found)
    for place, fault in routes.faults(found):
        number = int(place[1])
        named_so = f" {found[number].name!r}" if number < len(found) else ""
        raise TomlFault(line_of(text, place), f"the route{named_so} {fault}")
    for place, fault in faults(file):
        table = "default" if place[0] == "default" else f"models.{place[1]}"
        raise TomlFault(line_of(text, place), f"[{table}] {fault}")
    return file


def faults(file: PolicyFile) -> Iterator[tuple[Place, str]]:
    """Yield what contradicts itself, with its place."""
    tables: list[tuple[Place, ModelPolicy, ModelPolicy]] = [
        (("default",), file.default, file.default),
        *((("models", name), one, file.of(name)) for name, one in file.models.items()),
    ]
    for place, said, together in tables:
        yield from _faults_of_thresholds(place, said)
        yield from _faults_of_fairness(place, said)
        for inside, fault in said.value.faults() if said.value is not None else ():
            yield (*place, "value", *inside), f"value {fault}"
        warning, critical = together.psi_warning, together.psi_critical
        if warning and critical and warning > critical:
            key = "psi_critical" if said.psi_critical else "psi_warning"
            yield (*place, key), "has a psi_warning above its psi_critical"


def _faults_of_thresholds(place: Place, said: ModelPolicy) -> Iterator[tuple[Place, str]]:
    seen: set[tuple[str, str | None]] = set()
    for number, threshold in enumerate(said.thresholds):
        entry: Place = (*place, "thresholds", number)
        for fault in _threshold_faults(threshold):
            yield entry, fault
        if (threshold.metric, threshold.feature) in seen:
            columns = threshold.feature or "all columns"
            yield entry, f"limits {threshold.metric} of {columns} twice"
        seen.add((threshold.metric, threshold.feature))


def _faults_of_fairness(place: Place, said: ModelPolicy) -> Iterator[tuple[Place, str]]:
    compared: set[tuple[str, str]] = set()
    for number, limit in enumerate(said.fairness):
        entry: Place = (*place, "fairness", number)
        for fault in _fairness_faults(limit):
            yield entry, fault
        if (limit.measure, limit.feature) in compared:
            yield entry, f"limits {limit.measure} of {limit.feature} twice"
        compared.add((limit.measure, limit.feature))


def _threshold_faults(one: Threshold) -> list[str]:
    if one.metric not in column_metrics() and one.metric not in MODEL_METRICS:
        known = ", ".join(sorted({*column_metrics(), *MODEL_METRICS}))
        return [f"limits {one.metric!r}, which is no published metric (there are: {known})"]
    if one.metric in MODEL_METRICS and one.feature is not None:
        return [f"limits {one.metric} of a feature, but it is the model's: leave `feature` out"]
    if one.warning is None and one.critical is None:
        return [f"limits {one.metric} by neither `warning` nor `critical`"]
    if not all(limit is None or isfinite(limit) for limit in (one.warning, one.critical)):
        return [f"limits {one.metric} by what is no number"]  # JSON has neither nan nor inf
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


def _fairness_faults(one: FairnessLimit) -> list[str]:
    measure = MEASURES.get(one.measure)
    if measure is None:
        known = ", ".join(MEASURES)
        return [f"limits {one.measure!r}, which is no measure of fairness (there are: {known})"]
    stated = [limit for limit in (one.warning, one.critical) if limit is not None]
    if not stated:
        return [f"limits {one.measure} by neither `warning` nor `critical`"]
    if not all(0 <= limit <= 1 for limit in stated):
        return [f"limits {one.measure} by what is not between 0 and 1"]
    if len(stated) == 2 and measure.is_beyond(stated[0], stated[1]):
        return [f"limits {one.measure} with a `critical` that is reached before `warning`"]
    return []
