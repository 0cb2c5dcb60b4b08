"""`driftgauge models validate`, `promote`, `rollback`, `archive`: the gates of a version, and the
changes of its stage.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from driftgauge.consumer.commands.actor import actor_option, reason_option
from driftgauge.consumer.commands.tables import show_table
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.tables.options import file_options, form_of
from driftgauge.shared.versions.gates import GateFailed

if TYPE_CHECKING:
    from typing import BinaryIO

    from rich.status import Status

    from driftgauge.shared.registry.promotion import ValidationData
    from driftgauge.shared.registry.registry import ModelRegistry
    from driftgauge.shared.versions.gates import GateResult
    from driftgauge.shared.versions.stages import StageChange, Target

_target = click.option(
    "--target-column",
    default="",
    help="Column of the true values; default: that of the registration.",
)
_prediction = click.option(
    "--prediction-column",
    default="prediction",
    show_default=True,
    help="Column of the predictions, of a model that is only monitored.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")


@click.command()
@click.argument("name")
@click.argument("version")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="File of rows with true values."
)
@_target
@_prediction
@file_options
@actor_option
@_json
def validate(
    name: str,
    version: str,
    data: Path,
    target_column: str,
    prediction_column: str,
    actor: str,
    *,
    as_json: bool,
    **said: Any,
) -> None:
    """Run a version's gates and record the result; exit code 1 if one fails."""
    from driftgauge.shared.registry import promotion
    from driftgauge.shared.registry.opening import registry_of

    registry = registry_of(located_settings())
    rows = _rows(registry, name, version, data, target_column, prediction_column, said)
    with _running_gates(name, version):
        validation = promotion.validate(registry, name, version, rows)
    promotion.record(registry, validation, actor=actor)
    if as_json:
        click.echo(
            msgspec.json.encode({**msgspec.to_builtins(validation), "passed": validation.passed})
        )
    else:
        _show_gates(validation.results)
        failed, count = len(validation.failed), len(validation.results)
        click.echo(
            f"{name} {version} "
            + (f"fails {failed} of {count} gates." if failed else f"passes all {count} gates.")
        )
    if validation.failed:
        sys.exit(1)


@click.command()
@click.argument("name")
@click.argument("version")
@click.option(
    "--to",
    type=click.Choice(["staging", "production"]),
    default="production",
    show_default=True,
    help="The stage that the version comes to.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="File of rows with true values to run all gates on; else the latest validation counts.",
)
@_target
@_prediction
@file_options
@click.option(
    "--force", is_flag=True, help="Overrule failed gates, with a --reason; never a checksum."
)
@reason_option
@actor_option
@_json
def promote(
    name: str,
    version: str,
    to: "Target",
    data: Path | None,
    target_column: str,
    prediction_column: str,
    reason: str,
    actor: str,
    *,
    force: bool,
    as_json: bool,
    **said: Any,
) -> None:
    """Put a version into staging, or into production if it passes its gates; exit code 1 if
    not.
    """
    from driftgauge.shared.registry import promotion
    from driftgauge.shared.registry.opening import registry_of

    registry = registry_of(located_settings())
    rows = (
        _rows(registry, name, version, data, target_column, prediction_column, said)
        if data is not None
        else None
    )
    try:
        with _running_gates(name, version):
            change = promotion.promote(
                registry, name, version, to, actor=actor, reason=reason, force=force, data=rows
            )
    except GateFailed as error:
        if as_json:
            click.echo(msgspec.json.encode({"promoted": False, "failed": error.failed}))
        raise
    _tell(name, change, as_json=as_json)


@click.command()
@click.argument("name", required=False)
@click.option(
    "--incident",
    type=click.File("rb"),
    help="Instead of a name: file of an incident as CloudEvents JSON, or - for standard input, as "
    "the rollback hook gets it. Only the version that it is about is left.",
)
@reason_option
@actor_option
@_json
def rollback(
    name: str | None, incident: "BinaryIO | None", reason: str, actor: str, *, as_json: bool
) -> None:
    """Put the previous production version back; twice goes back twice."""
    from driftgauge.shared.registry.opening import registry_of

    if (name is None) == (incident is None):
        raise click.UsageError("Give either the name of a model, or --incident.")
    registry = registry_of(located_settings())
    if name is not None:
        _tell(name, registry.rollback(name, actor=actor, reason=reason), as_json=as_json)
        return
    from driftgauge.consumer.hooks.returning import MOST_BYTES, incident_in, roll_back

    assert incident is not None  # noqa: S101  one of the two is there
    if reason:
        raise click.UsageError("--incident brings its own reason.")
    found = incident_in(incident.read(MOST_BYTES))
    change = roll_back(registry, found, actor=actor)
    if change is not None:
        _tell(found.model, change, as_json=as_json)
    elif as_json:
        click.echo("null")
    else:
        click.echo(
            f"{found.model} {found.cause.version or found.version} is not in production any more; "
            "nothing was changed."
        )


@click.command()
@click.argument("name")
@click.argument("version")
@reason_option
@actor_option
@_json
def archive(name: str, version: str, reason: str, actor: str, *, as_json: bool) -> None:
    """Archive a version, so that no rollback goes to it."""
    from driftgauge.shared.registry.opening import registry_of

    change = registry_of(located_settings()).archive(name, version, actor=actor, reason=reason)
    _tell(name, change, as_json=as_json)


@click.command()
@click.argument("name")
@click.argument("version")
@reason_option
@actor_option
@_json
def purge(name: str, version: str, reason: str, actor: str, *, as_json: bool) -> None:
    """Remove a version from the registry folder and from Redis, with the values that it holds.

    It must be in neither production nor staging. Events, panes, alerts and reports that it made go
    by their ages.
    """
    from driftgauge.consumer.commands.connection import connected
    from driftgauge.shared.contract.keys import Keys
    from driftgauge.shared.registry.opening import registry_of
    from driftgauge.shared.registry.purging import forget

    settings, nodes = connected()  # before anything is removed: all of it is, or nothing
    nodes.close()
    change = registry_of(settings).purge(name, version, actor=actor, reason=reason)
    entries = forget(settings.redis_url, Keys(settings.key_prefix), name, version)
    if as_json:
        click.echo(msgspec.json.encode(change))
        return
    click.echo(
        f"{name} {version} is purged: its files, and {entries} entries in Redis. An API that has "
        f"served it since its start holds it in memory; restart that. What it published goes by "
        f"its age (docs/privacy.md)."
    )


def _rows(
    registry: "ModelRegistry",
    name: str,
    version: str,
    data: Path,
    target: str,
    prediction: str,
    said: Mapping[str, Any],
) -> "ValidationData":
    """Read rows by the version's own types; what does not fit is for its gates to tell."""
    from driftgauge.shared.registry.promotion import ValidationData
    from driftgauge.shared.registry.provenance import file_digest
    from driftgauge.shared.tables.reading import open_table

    schema = registry.load(name, version).schema
    typed = open_table(data, form_of(said, schema.table)).typed(
        schema.kinds_of((target or schema.target, prediction))
    )
    return ValidationData(typed.frame, target, prediction, file_digest(data))


def _running_gates(name: str, version: str) -> "Status":
    """Show that something is going on: the latency alone is measured for seconds."""
    from rich.console import Console
    from rich.text import Text

    return Console(stderr=True).status(Text(f"running the gates of {name} {version}"))


def _show_gates(results: "tuple[GateResult, ...]") -> None:
    rows = (
        (
            "passed" if result.passed else "FAILED",
            result.name,
            "" if result.value is None else f"{result.value:.4g}",
            result.bound,
            result.detail,
        )
        for result in results
    )
    show_table(("", "gate", "measured", "required", ""), rows)


def _tell(name: str, change: "StageChange", *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(change))
        return
    instead = f" instead of {change.replaced}" if change.replaced else ""
    failed = len(change.validation.failed) if change.validation is not None else 0
    overruled = f", {failed} failed gate{'s' if failed > 1 else ''} overruled" if failed else ""
    click.echo(
        f"{name} {change.version} is in {change.stage}{instead}{overruled}.".replace(
            "is in archived", "is archived"
        )
    )
