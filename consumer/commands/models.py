"""`driftgauge models`: lists and shows what is in the registry folder. Registering and promoting
have files of their own.
"""

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from driftgauge.consumer.commands.kept.challenge import challenge
from driftgauge.consumer.commands.kept.explain import explain
from driftgauge.consumer.commands.promoting import archive, promote, purge, rollback, validate
from driftgauge.consumer.commands.registering import register
from driftgauge.consumer.commands.tables import printable, show_table
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.reference.segments import OTHER
from driftgauge.shared.wording.numbers import figure, with_unit
from driftgauge.shared.wording.times import written_moment

if TYPE_CHECKING:
    from driftgauge.shared.reference.feature import Feature


@click.group()
def models() -> None:
    """Register models, check them, promote them, and go back."""


for command in (register, validate, challenge, explain, promote, rollback, archive, purge):
    models.add_command(command)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_models(*, as_json: bool) -> None:
    """List every version with its stage."""
    from driftgauge.shared.registry.opening import registry_of

    registry = registry_of(located_settings())
    rows = []
    for model in registry.registered():
        stages = registry.stages(model)
        for version in registry.versions(model):
            manifest = registry.manifest(model, version)
            rows.append(
                (
                    model,
                    version,
                    stages.stage(version),
                    manifest.task,
                    written_moment(manifest.created),
                    manifest.metrics,
                )
            )
    names = ("model", "version", "stage", "task", "registered", "metrics")
    if as_json:
        click.echo(msgspec.json.encode([dict(zip(names, row, strict=True)) for row in rows]))
    elif rows:
        show_table(names, [(*row[:-1], _metrics(row[-1])) for row in rows])
    else:
        click.echo(
            f"No model is registered in {registry.storage.where()}. Register one with "
            f"`driftgauge models register`."
        )


@models.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print manifest, schema and stage as JSON.")
def show(name: str, version: str | None, *, as_json: bool) -> None:
    """Show a version; by default the one in production, or else the newest."""
    from driftgauge.shared.registry.opening import registry_of

    registry = registry_of(located_settings())
    stages = registry.stages(name)
    version = version or stages.production or (registry.versions(name) or [""])[-1]
    published = registry.load(name, version)
    manifest, schema, rows = published.manifest, published.schema, published.reference.rows
    if as_json:
        shown = {
            "stage": stages.stage(version),
            "manifest": manifest,
            "schema": schema,
            "reference_rows": rows,
        }
        click.echo(msgspec.json.encode(shown))
        return
    back = (
        f"; a rollback goes to {stages.line[-1]}"
        if stages.line and version == stages.production
        else ""
    )
    click.echo(f"{name} {version}: {stages.stage(version)}{back}")
    described = msgspec.to_builtins(msgspec.structs.replace(manifest, files={}))
    fields = {
        key: value
        for key, value in described.items()
        if key not in {"model", "version"} and value not in ("", {})
    }
    fields |= {key: written_moment(fields[key]) for key in ("created", "trained") if key in fields}
    show_table(("", ""), [(key.replace("_", " "), _shown(value)) for key, value in fields.items()])
    click.echo(f"{rows:,} reference rows")
    for held in published.reference.segments:
        click.echo(
            f"segments by {held.feature}: {', '.join(map(printable, (*held.values, OTHER)))}"
        )
    validation = stages.latest_validation(version)
    if validation is not None:
        outcome = (
            "passed"
            if validation.passed
            else "failed: " + "; ".join(printable(result) for result in validation.failed)
        )
        click.echo(f"validated {written_moment(validation.time)}: {outcome}")
    columns = (
        "feature",
        "kind",
        "may be missing",
        "range or categories",
        "excluded from drift",
        "personal",
    )
    rules = {"keep": "", "drop": "dropped", "hash": "hashed", None: ""}
    show_table(
        columns,
        [
            (f.name, f.kind, "yes" if f.nullable else "", _declared(f), f.excluded, rules[f.pii])
            for f in schema.features
        ],
    )


@models.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the faults as JSON.")
def verify(name: str, version: str | None, *, as_json: bool) -> None:
    """Compare every file with its checksum; exit code 1 if one differs."""
    from driftgauge.shared.registry.opening import registry_of

    registry = registry_of(located_settings())
    faults = registry.verify(name, version)
    if as_json:
        click.echo(msgspec.json.encode({"model": name, "sound": not faults, "faults": faults}))
        sys.exit(1 if faults else 0)
    for fault in faults:
        click.echo(printable(fault), err=True)
    if faults:
        sys.exit(1)
    count = 1 if version else len(registry.versions(name))
    click.echo(
        f"{name}: every file of {count} version{'s' if count > 1 else ''} is as it was registered."
    )


@models.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def history(name: str, *, as_json: bool) -> None:
    """Show each change of the stages and each validation, oldest first."""
    from driftgauge.shared.registry.opening import registry_of

    changes = registry_of(located_settings()).history(name)
    if as_json:
        click.echo(msgspec.json.encode(changes))
        return
    rows = []
    for change in changes:
        outcome = (
            "" if change.validation is None else "passed" if change.validation.passed else "failed"
        )
        step = f"{change.replaced} → {change.version}" if change.replaced else change.version
        gates = f"{outcome}, overruled" if change.forced and outcome == "failed" else outcome
        forced = "forced" if change.forced else ""
        rows.append(
            (
                written_moment(change.time),
                change.action,
                step,
                change.stage,
                change.actor,
                change.reason,
                gates,
                forced,
            )
        )
    show_table(("time", "action", "version", "stage", "actor", "reason", "gates", ""), rows)


def _metrics(metrics: object) -> str:
    from driftgauge.shared.wording.titles import title

    assert isinstance(metrics, dict)  # noqa: S101  the last of a row above
    return "  ".join(f"{title(name)} {figure(value)}" for name, value in metrics.items())


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{key} {_shown(each)}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _declared(feature: "Feature") -> str:
    """Say what a feature's values may be."""
    if feature.kind == "timestamp":
        return _declared_time(feature)
    if feature.categories is not None:
        return ", ".join(feature.categories)
    bounds = ("" if bound is None else f"{bound:g}" for bound in (feature.minimum, feature.maximum))
    text = " … ".join(bounds)
    return with_unit("" if text == " … " else text, feature.unit).strip()


def _declared_time(feature: "Feature") -> str:
    """Say how a time is written, and what is judged of it."""
    form = feature.time
    unit = f"{form.unit} since 1970" if form is not None and form.unit else ""
    how = unit or (form.pattern if form is not None else "") or "ISO 8601"
    zone = form.timezone if form is not None else "UTC"
    return f"{how}, {zone}; {feature.judged.replace('_', ' ')}"
