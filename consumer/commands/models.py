"""`driftgauge models`: what is in the registry folder."""

from pathlib import Path

import click

from shared.settings import read_settings


@click.group()
def models() -> None:
    """Register models and look at them."""


@models.command("list")
def list_models() -> None:
    """List the registered models, their versions, and which is in production."""
    from shared.model_registry import ModelRegistry

    registry = ModelRegistry(read_settings().registry_dir)
    for model in registry.models():
        production = registry.production(model)
        versions = ", ".join(f"{version}*" if version == production else version for version in registry.versions(model))
        click.echo(f"{model}  {versions}   (* in production)")


@models.command()
@click.argument("name")
@click.option(
    "--reference", required=True, type=click.Path(path_type=Path), help="CSV of the rows the model was trained on."
)
@click.option("--version", help="Semantic version; default: the next major one.")
@click.option("--prediction-column", help="Column of the model's predictions.")
@click.option("--target-column", help="Column of the true values; no feature.")
@click.option("--time-column", help="Column of the time; no feature.")
@click.option("--exclude", default="", help="Columns left out of drift, with commas.")
@click.option(
    "--partitions",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Logs that the events are spread over; chosen once, by the model's first version.",
)
@click.option("--schema", "schema_file", type=click.Path(path_type=Path),
              help="Schema to use; if the file is absent, the inferred schema is written there.")  # fmt: skip
def register(
    name: str, reference: Path, version: str | None, prediction_column: str | None, target_column: str | None,
    time_column: str | None, exclude: str, partitions: int, schema_file: Path | None,
) -> None:  # fmt: skip
    """Register a model that is only monitored: its predictions are made elsewhere."""
    from consumer.registration import register_monitored
    from shared.model_registry import ModelRegistry

    registry = ModelRegistry(read_settings().registry_dir)
    folder, published = register_monitored(
        registry, name, reference, version=version, prediction=prediction_column,
        target=target_column, time=time_column, exclude=[column for column in exclude.split(",") if column],
        schema_file=schema_file, partitions=partitions,
    )  # fmt: skip
    schema, rows = published.schema, published.reference.rows
    kinds = [feature.kind for feature in schema.features]
    click.echo(
        f"{name} {published.manifest.version}: {kinds.count('numeric')} numeric features, "
        f"{kinds.count('categorical')} categorical, {rows:,} reference rows, stored in {folder}."
    )
    least = read_settings().min_reference_rows
    if rows < least:
        click.echo(f"Drift needs {least:,} reference rows; until then it is INSUFFICIENT_DATA, integrity excepted.")
    if time_column:
        from consumer.calibrating import TimedRows
        from consumer.commands.calibrate import calibrate_version, show

        rows_in_time = TimedRows(reference, time_column, prediction_column)
        show(calibrate_version(registry, name, published.manifest.version, rows_in_time, None))
    else:
        click.echo("There is no --time-column: the rows are taken as exchangeable, which was not tested.")
    click.echo("To change the schema, edit a copy of its schema.json and register again with --schema FILE.")
