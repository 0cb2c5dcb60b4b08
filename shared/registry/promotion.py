"""Promotion of a version through its gates: all are run, and every failure is listed at once.

Files, reference and the model's methods are always checked. With validation data these are checked,
too: whether the data fit the schema, the bounds of the metrics, the latency of one row, and that no
metric is worse than that of the version in production on the same rows.
"""

import msgspec

from driftgauge.shared.errors import BadData
from driftgauge.shared.registry.creation import utc_now
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.registry.validation import ValidationData, ValidationRun
from driftgauge.shared.versions.gates import GateFailed, GateResult, Validation
from driftgauge.shared.versions.stages import StageChange, Target
from driftgauge.shared.wording.times import written_moment

__all__ = ["ValidationData", "promote", "record", "validate"]


def validate(
    registry: ModelRegistry, model: str, version: str, data: ValidationData | None = None
) -> Validation:
    """Run the gates of a version; nothing is recorded or changed.

    Parameters
    ----------
    data
        Rows with true values; None runs only the gates that need no rows.

    Raises
    ------
    ModelNotFound
        If there is no such version.
    """
    run = ValidationRun(registry, model, version, data)
    results = tuple(run.results())
    return Validation(
        model=model,
        version=version,
        time=utc_now(),
        results=results,
        data_digest=data.sha256() if data is not None else "",
        against=run.against,
        metrics=run.metrics,
    )


def record(registry: ModelRegistry, validation: Validation, *, actor: str) -> StageChange:
    """Add a validation to the model's history, where a promotion without data looks for it."""
    change = StageChange(
        validation.time, actor, "validate", validation.version, validation=validation
    )
    return registry.record(change, validation.model)


def promote(
    registry: ModelRegistry,
    model: str,
    version: str,
    to: Target = "production",
    *,
    actor: str,
    reason: str = "",
    force: bool = False,
    data: ValidationData | None = None,
) -> StageChange:
    """Promote a version to staging, or through its gates to production.

    Parameters
    ----------
    actor, reason
        Name of who promotes the version, and the reason, for the history.
    force
        If True, failed gates are overruled; this needs a reason. A wrong checksum is never
        overruled.
    data
        Rows with true values to run all gates on. Without data, and if metrics have bounds, the
        latest recorded validation on data must have passed.

    Raises
    ------
    GateFailed
        If a gate fails. Nothing was promoted; a validation on data is recorded in the history.
    BadData
        If a file does not have its checksum, the version is there already, or a reason is missing.
    """
    if force and not reason.strip():
        raise BadData("To overrule the gates, give a reason; it is recorded.")
    if to == "staging":
        return registry.promote(model, version, to, actor=actor, reason=reason, forced=force)
    validation = validate(registry, model, version, data)
    if data is None:
        validation = _with_latest(registry, validation)
    if validation.failed and not force:
        if data is not None:
            record(registry, validation, actor=actor)
        raise GateFailed(_message(validation), validation.failed)
    return registry.promote(
        model, version, to, actor=actor, reason=reason, forced=force, validation=validation
    )


def _with_latest(registry: ModelRegistry, validation: Validation) -> Validation:
    """Add a gate: if metrics have bounds, the latest recorded validation on data has passed."""
    model, version = validation.model, validation.version
    try:
        bounds = registry.manifest(model, version).gates.metrics
    except BadData:  # the gate of the files has failed already
        return validation
    if not bounds:
        return validation
    latest = registry.stages(model).latest_validation(version)
    advice = f"run `driftgauge models validate {model} {version} --data FILE`"
    if latest is None:
        detail = f"{', '.join(bounds)} have bounds, and no validation on data is recorded: {advice}"
    else:
        failed = "; ".join(map(str, latest.failed))
        detail = (
            f"the latest one, of {written_moment(latest.time)}, failed ({failed}): {advice}"
            if failed
            else ""
        )
    result = GateResult("recorded validation", passed=not detail, detail=detail)
    return msgspec.structs.replace(validation, results=(*validation.results, result))


def _message(validation: Validation) -> str:
    lines = "".join(f"\n  - {result}" for result in validation.failed)
    return (
        f"{validation.model} {validation.version} fails {len(validation.failed)} of "
        f"{len(validation.results)} gates, so "
        f"nothing was promoted:{lines}\nRegister a better version, or overrule with --force "
        f"--reason TEXT."
    )
