"""`driftgauge models register`: a new version, with its fitted model or only to be monitored."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from click.core import ParameterSource

from driftgauge.consumer.commands.actor import actor_option
from driftgauge.consumer.commands.column_options import choices_of, show_columns, table_options
from driftgauge.consumer.commands.tables import printable
from driftgauge.consumer.commands.waiting import waiting
from driftgauge.shared.contract.keys import MOST_PARTITIONS
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.reference.segments import OTHER
from driftgauge.shared.registration.fields import FIELDS
from driftgauge.shared.registration.mlflow_model import fetch, is_in_mlflow
from driftgauge.shared.tables.options import names_option

if TYPE_CHECKING:
    from driftgauge.consumer.offline.reference_table import Recognised
    from driftgauge.consumer.offline.submission import Submission
    from driftgauge.shared.reference.calibration import Calibration
    from driftgauge.shared.versions.manifest import PublishedVersion, Task

AT_REGISTRATION: Final = "promoted at its registration"


@click.command()
@click.argument("name")
@click.option(
    "--reference",
    required=True,
    type=click.Path(path_type=Path),
    help="Table of the reference rows: those of the training, or better, held out from it.",
)
@click.option("--version", help="Semantic version; default: the next major one.")
@click.option(
    "--artifact",
    type=click.Path(path_type=Path),
    help="Fitted model: .joblib, .onnx, LightGBM's .txt, XGBoost's .ubj or .json, CatBoost's .cbm. "
    "Or of MLflow: models:/NAME@ALIAS, runs:/RUN/PATH. None: the model is only monitored.",
)
@click.option(
    "--task",
    type=click.Choice(["regression", "binary", "multiclass"]),
    help="What is predicted; default: the artifact knows it, or the predictions tell.",
)
@click.option(
    "--prediction-column", help="Column of the predictions; without it the artifact makes them."
)
@click.option("--target-column", help="Column of the true values; no feature.")
@click.option("--time-column", help="Column of the time; no feature.")
@names_option(
    "--feature",
    "features",
    help="Column that is a feature, in the model's order; repeatable, or with commas.  [default: "
    "those of the artifact, or all]",
)
@names_option("--exclude", help="Column that is left out of drift; repeatable, or with commas.")
@names_option(
    "--segment",
    "segments",
    help="Categorical feature by whose values drift and performance are told apart; up to 3, "
    "repeatable, or with commas.",
)
@names_option(
    "--classes",
    help="Labels in the order of the probabilities, where no artifact knows them; repeatable, or "
    "with commas.",
)
@names_option(
    "--probability-column",
    "probability_columns",
    help="Column of a class's probability, in the order of the classes; of two, the second's "
    "alone will do. Repeatable, or with commas.",
)
@table_options
@click.option(
    "--schema",
    "schema_file",
    type=click.Path(path_type=Path),
    help="Schema to use, as --write-schema wrote it and you edited it.",
)
@click.option(
    "--write-schema",
    "written",
    type=click.Path(path_type=Path),
    help="Write the inferred schema to this new file, to be edited, and register nothing.",
)
@click.option(
    "--partitions",
    type=click.IntRange(1, MOST_PARTITIONS),
    default=1,
    show_default=True,
    help="Logs that the events are spread over; chosen once, by the model's first version.",
)
@click.option(
    "--metrics",
    multiple=True,
    help="Metrics of the training: a JSON file, or NAME=NUMBER; repeatable.",
)
@click.option(
    "--gate", "bounds", multiple=True, help="Such as 'accuracy>=0.9' or 'rmse<=4'; repeatable."
)
@click.option(
    "--max-latency-ms",
    type=click.FloatRange(0, min_open=True),
    default=100,
    show_default=True,
    help="Check: 99th percentile of one row's time.",
)
@click.option(
    "--min-reference-rows", type=click.IntRange(0), default=1000, show_default=True, help="Check."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.02,
    show_default=True,
    help="Check: how much worse than the production version a metric may be, as a share.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="Check: a method that the artifact has; default: predict, and predict_proba of classes.",
)
@click.option(
    "--labels", is_flag=True, help="True values come later, and are joined to the predictions."
)
@click.option("--batch-counts", is_flag=True, help="Batch predictions count for drift.")
@click.option(
    "--multivariate",
    is_flag=True,
    help="Judge how the numeric features go together, too: the reconstruction error of a principal "
    "component analysis and its first components are columns.",
)
@click.option(
    "--features-module", default="", help="Dotted name of the module that makes the features."
)
@click.option(
    "--git-revision", help="Commit of the training code.  [default: that of the current folder]"
)
@click.option("--trained", help="When the model was fitted, ISO 8601.  [default: that of its file]")
@click.option("--promote", is_flag=True, help="Run the gates, and put it into production.")
@click.option(
    "--url",
    help="API to register at: the files are sent there, with DRIFTGAUGE_API_KEY.  [default: the "
    "registry here]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the table and the version as JSON.")
@actor_option
def register(
    name: str,
    reference: Path,
    version: str | None,
    artifact: Path | None,
    task: "Task | None",
    prediction_column: str | None,
    target_column: str | None,
    time_column: str | None,
    features: tuple[str, ...],
    exclude: tuple[str, ...],
    classes: tuple[str, ...],
    schema_file: Path | None,
    written: Path | None,
    partitions: int,
    metrics: tuple[str, ...],
    bounds: tuple[str, ...],
    max_latency_ms: float,
    min_reference_rows: int,
    tolerance: float,
    methods: tuple[str, ...],
    features_module: str,
    segments: tuple[str, ...],
    probability_columns: tuple[str, ...],
    git_revision: str | None,
    trained: str | None,
    url: str | None,
    actor: str,
    *,
    labels: bool,
    batch_counts: bool,
    multivariate: bool,
    promote: bool,
    as_json: bool,
    **table: Any,
) -> None:
    """Register a version: to be served if it has an artifact, else only monitored.

    It shows how each column is taken, and asks nothing; the options change it. What was chosen is
    kept in the version, and used for every later file and request of it.
    """
    from driftgauge.consumer.offline.reference_table import Recognised
    from driftgauge.consumer.offline.registration import register_version, write_schema
    from driftgauge.consumer.offline.submission import Submission
    from driftgauge.shared.registry import promotion
    from driftgauge.shared.registry.opening import registry_of
    from driftgauge.shared.versions.gates import Gates, parse_bounds

    context = click.get_current_context()
    if is_in_mlflow(artifact):
        _register_fetched(context)
        return
    if url is not None:
        _register_at(url, context)
        return
    minimum, maximum = parse_bounds(bounds)
    gates = Gates(minimum, maximum, max_latency_ms, methods, min_reference_rows, tolerance)
    submission = Submission(
        name,
        reference,
        version,
        artifact,
        task,
        prediction_column,
        target_column,
        time_column,
        exclude,
        classes,
        schema_file,
        partitions,
        _read_metrics(metrics),
        gates,
        labels,
        batch_counts,
        features_module,
        located_settings().pii_secret,
        segments,
        probability_columns,
        choices_of(table),
        git_revision,
        trained,
        features,
        multivariate,
    )
    registry = registry_of(located_settings())
    found: list[Recognised] = []

    def tell(recognised: Recognised) -> None:
        found.append(recognised)
        if not as_json:
            show_columns(recognised)

    if written is not None:
        schema = write_schema(registry, submission, written, tell)
        if as_json:
            click.echo(msgspec.json.encode(schema).decode())
        else:
            click.echo(
                f"The schema is in {printable(written)}, and nothing was registered. Edit it, and "
                f"register with --schema {printable(written)}."
            )
        return
    with waiting(f"reading {reference.name} and making its profile") as at:
        folder, published = register_version(
            registry,
            submission,
            tell,
            at,
            lambda made, fitted: _calibration(submission, made, fitted),
        )
    if as_json:
        if promote:
            promotion.promote(
                registry, name, published.manifest.version, actor=actor, reason=AT_REGISTRATION
            )
        click.echo(msgspec.json.encode(_document(folder, published, found[0])).decode())
        return
    tell_registered(folder, published)
    click.echo(
        "To change the schema, edit a copy of its schema.json and register again with --schema "
        "FILE."
    )
    _show_calibration(published)
    version = published.manifest.version
    if promote:
        promotion.promote(registry, name, version, actor=actor, reason=AT_REGISTRATION)
        click.echo(f"{name} {version} is in production.")
    else:
        click.echo(f"To put it into production: driftgauge models promote {name} {version}")


def _register_fetched(context: click.Context) -> None:
    """Register a model of MLflow: what it tells counts where nothing else was said."""
    parameters = {
        field: option.name
        for option in context.command.params
        for field in (option.opts[0].removeprefix("--").replace("-", "_"),)
        if option.name is not None
    }
    with tempfile.TemporaryDirectory(prefix="driftgauge-") as folder:
        told = fetch(str(context.params["artifact"]), Path(folder))
        if context.params["schema_file"] is not None:
            told.pop("type", None)  # it is for the schema to say
        told["metrics"] = tuple(f"{name}={value!r}" for name, value in told["metrics"].items())
        for field, value in told.items():
            name = parameters[field]
            if field in {"artifact", "metrics"} or not context.params[name]:
                said = context.params[name] if field == "metrics" else ()
                context.params[name] = (*value, *said) if field == "metrics" else value
                context.set_parameter_source(name, ParameterSource.COMMANDLINE)
        context.invoke(register, **context.params)


def _register_at(url: str, context: click.Context) -> None:
    """Register at an API: all that was said goes there."""
    from driftgauge.consumer.offline.reference_table import Recognised
    from driftgauge.shared.reference.columns.choices import ColumnRow
    from driftgauge.shared.registration import remote

    said = {
        option.opts[0].removeprefix("--").replace("-", "_"): context.params[option.name]
        for option in context.command.params
        if option.name is not None
        and context.get_parameter_source(option.name) is not ParameterSource.DEFAULT
    }
    for name in ("write_schema", "actor"):
        if name in said:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} is for the registry here; leave it out with --url.")
    options = {name: value for name, value in said.items() if name in FIELDS}
    if "metrics" in options:
        options["metrics"] = _read_metrics(options["metrics"])
    secret = located_settings().api_key
    with waiting(f"registering at {url}"):
        found = remote.register(
            said["reference"],
            model=said["name"],
            artifact=said.get("artifact"),
            schema=said.get("schema"),
            url=url,
            key=None if secret is None else secret.get_secret_value(),
            promote=bool(said.get("promote")),
            **options,
        )
    if "json" in said:
        click.echo(msgspec.json.encode(found).decode())
        return
    show_columns(
        Recognised(
            msgspec.convert(found["columns"], tuple[ColumnRow, ...]), tuple(found["remarks"])
        )
    )
    name, version = found["model"], found["version"]
    click.echo(f"{name} {version} is registered at {url}: {found['rows']:,} reference rows.")
    if "promote" in said:
        click.echo(f"{name} {version} is in production.")


def _document(folder: str, published: "PublishedVersion", found: "Recognised") -> dict[str, Any]:
    """Return what was registered, for --json."""
    return {
        "model": published.manifest.model,
        "version": published.manifest.version,
        "folder": folder,
        "rows": published.reference.rows,
        "columns": found.rows,
        "remarks": found.remarks,
        "schema": published.schema,
    }


def _calibration(
    submission: "Submission", published: "PublishedVersion", estimator: Any
) -> "Calibration | None":
    """Test the reference for order in time, if it has times."""
    if submission.time_column is None:
        return None
    from driftgauge.consumer.commands.calibrate import calibrated
    from driftgauge.consumer.offline.calibrating import TimedRows

    rows = TimedRows(
        submission.reference,
        submission.time_column,
        submission.prediction_column,
        submission.pii_key,
    )
    needed = estimator if submission.prediction_column is None else None
    return calibrated(published, rows, needed)


def _show_calibration(published: "PublishedVersion") -> None:
    if published.calibration is None:
        click.echo(
            "There is no --time-column: the rows are taken as exchangeable, which was not tested."
        )
        return
    from driftgauge.consumer.commands.calibrate import show
    from driftgauge.consumer.offline.pace import pace

    settings = located_settings()
    show(published.calibration)
    for said in pace(published.calibration, settings.window_days, settings.min_window_rows):
        click.echo(said)


def _read_metrics(given: tuple[str, ...]) -> dict[str, float]:
    """Read metrics from JSON files and from NAME=NUMBER."""
    metrics: dict[str, float] = {}
    for text in given:
        name, separator, number = text.partition("=")
        try:
            if separator and not Path(text).exists():
                metrics[name.strip()] = float(number)
            else:
                metrics.update(msgspec.json.decode(Path(text).read_bytes(), type=dict[str, float]))
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise BadData(
                f"--metrics {text}: give NAME=NUMBER, or a JSON file of names and numbers "
                f"({error})."
            ) from error
    return metrics


def tell_registered(folder: str, published: "PublishedVersion") -> None:
    """Say what was registered, and where it is."""
    manifest, schema, rows = published.manifest, published.schema, published.reference.rows
    kinds = Counter(feature.kind for feature in schema.features)
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    left_out = [feature.name for feature in schema.features if feature.excluded]
    what = f"{manifest.task}, {manifest.artifact}" if manifest.artifact else "monitored"
    click.echo(
        f"{manifest.model} {manifest.version} ({what}): {len(schema.features)} features ({told}), "
        f"{rows:,} reference rows, stored in {folder}."
    )
    if schema.derivation is not None:
        kept, of_all = len(schema.derivation.components), len(schema.derivation.features)
        click.echo(
            f"Derived of {of_all} numeric features by {kept} "
            f"component{'s' if kept != 1 else ''}: {', '.join(schema.derivation.names)}."
        )
    if left_out:
        click.echo(f"Left out of drift: {', '.join(map(printable, left_out))}.")
    for held in published.reference.segments:
        click.echo(
            f"Segments by {held.feature}: {', '.join(map(printable, (*held.values, OTHER)))}."
        )
    least = located_settings().min_reference_rows
    if rows < least:
        click.echo(
            f"Drift needs {least:,} reference rows; until then it is INSUFFICIENT_DATA, integrity "
            f"excepted."
        )
