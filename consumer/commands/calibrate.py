"""`driftgauge calibrate`: thresholds for features that are ordered in time, from the reference's
own weeks.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from driftgauge.consumer.commands.tables import printable
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.tables.options import file_options, form_of, names_option

if TYPE_CHECKING:
    from driftgauge.consumer.offline.calibrating import TimedRows
    from driftgauge.shared.reference.calibration import Calibration
    from driftgauge.shared.registry.registry import ModelRegistry
    from driftgauge.shared.versions.manifest import PublishedVersion


@click.command()
@click.argument("model")
@click.argument("version")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="File of reference rows; default: the days that are stored.",
)
@click.option("--time-column", help="Column of the time, with --data.")
@click.option("--prediction-column", help="Column of the predictions, with --data.")
@file_options
@names_option(
    "--watch",
    help="Function of the clock that is judged nevertheless; repeatable, or with commas.  "
    "[default: as before]",
)
@click.option(
    "--png", type=click.Path(path_type=Path, dir_okay=False), help="Draw the plot to this file too."
)
@click.option("--json", "as_json", is_flag=True, help="Print the calibration as JSON.")
def calibrate(
    model: str,
    version: str,
    data: Path | None,
    time_column: str | None,
    prediction_column: str | None,
    watch: tuple[str, ...],
    png: Path | None,
    *,
    as_json: bool,
    **said: Any,
) -> None:
    """Test a version's reference for order in time, and replay its weeks."""
    from driftgauge.consumer.offline.calibrating import TimedRows
    from driftgauge.shared.registry.opening import registry_of

    if (data is None) != (time_column is None):
        raise click.UsageError("--data and --time-column belong together.")
    rows = (
        TimedRows(data, time_column, prediction_column, located_settings().pii_secret)
        if data is not None and time_column is not None
        else None
    )
    made = calibrate_version(
        registry_of(located_settings()),
        model,
        version,
        rows,
        list(watch) or None,
        said,
    )
    show(made, as_json=as_json)
    if png is not None:
        from driftgauge.consumer.offline.calibration_plot import draw_png

        draw_png(made, f"{model} {version}", png)
        click.echo(png.absolute())


def calibrate_version(
    registry: "ModelRegistry",
    model: str,
    version: str,
    rows: "TimedRows | None",
    watch: list[str] | None,
    said: Mapping[str, Any] | None = None,
) -> "Calibration":
    """Calibrate a registered version with a progress bar, and store it.

    Parameters
    ----------
    said
        How the file is written, where it is not written as the reference was.
    """
    published = read_by(registry.load(model, version), said or {})
    made = calibrated(published, rows, _estimator(registry, published, rows), watch)
    registry.store_calibration(model, version, made)
    return made


def calibrated(
    published: "PublishedVersion",
    rows: "TimedRows | None",
    estimator: Any,
    watch: list[str] | None = None,
) -> "Calibration":
    """Calibrate a version with a progress bar; nothing is stored."""
    from rich.console import Console
    from rich.progress import Progress

    from driftgauge.consumer.judging.ordered.order import STEPS
    from driftgauge.consumer.judging.policy import JudgingPolicy
    from driftgauge.consumer.offline.calibrating import make_calibration

    settings = located_settings()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("replaying the reference's weeks", total=STEPS + 1)
        made, remarks = make_calibration(
            published,
            rows,
            target=settings.false_alarms_per_month,
            floor=JudgingPolicy().psi_warning,
            watch=watch,
            estimator=estimator,
            progress=lambda: bar.advance(task),
        )
    for remark in remarks:
        click.echo(printable(remark), err=True)
    return made


def read_by(version: "PublishedVersion", said: Mapping[str, Any]) -> "PublishedVersion":
    """Return a version that reads a file as it was said to be written."""
    import msgspec

    schema = msgspec.structs.replace(version.schema, table=form_of(said, version.schema.table))
    return msgspec.structs.replace(version, schema=schema)


def _estimator(
    registry: "ModelRegistry", published: "PublishedVersion", rows: "TimedRows | None"
) -> Any:
    """Load the fitted model if rows without predictions need it."""
    manifest = published.manifest
    if rows is None or rows.prediction is not None or not manifest.artifact:
        return None
    return registry.load_artifact(manifest.model, manifest.version)


def show(made: "Calibration", *, as_json: bool = False) -> None:
    """Print a calibration as a table and a plot, or as JSON."""
    from rich.console import Console

    from driftgauge.consumer.offline.calibration_plot import plot, summary, table

    if as_json:
        import msgspec

        shown = msgspec.to_builtins(made)
        del shown["timeline"]
        click.echo(msgspec.json.encode(shown))
        return
    console = Console()
    console.print(table(made))
    chart = plot(made)
    if chart:
        console.print(chart, highlight=False, markup=False)
    for line in summary(made):
        click.echo(printable(line))
