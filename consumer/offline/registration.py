"""Registration of a version from the rows that it was trained on: with its fitted model, or only to
be monitored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from driftgauge.consumer.offline.model_dtypes import as_fitted
from driftgauge.consumer.offline.predicted_output import Output, fitted, output_of
from driftgauge.consumer.offline.reference_table import (
    Recognised,
    ReferenceTable,
    read_reference,
)
from driftgauge.consumer.offline.submission import Submission, schema_from
from driftgauge.shared.arrays import Floats
from driftgauge.shared.artifacts import format_of
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import Layout, PerformanceReference
from driftgauge.shared.reference.building import build_profile, counted
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.columns.choices import Choices
from driftgauge.shared.reference.derivation import Derivation
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import answers_of, as_column, columns_of
from driftgauge.shared.reference.profile import PREDICTION, Column, ReferenceProfile
from driftgauge.shared.reference.schema import RESERVED, Schema
from driftgauge.shared.reference.units import unit_in
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.registry.provenance import file_digest, git_revision, library_versions
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.registry.version_folder import check_name
from driftgauge.shared.steps import At, silent
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.versions import scores
from driftgauge.shared.versions.gates import Gates
from driftgauge.shared.versions.manifest import PublishedVersion, Task
from driftgauge.shared.versions.prediction import (
    model_columns,
    predict,
    probabilities,
)

Calibrate = Callable[[PublishedVersion, Any], Calibration | None]


def register_version(
    registry: ModelRegistry,
    submission: Submission,
    tell: Callable[[Recognised], None] = lambda _found: None,
    at: At = silent,
    calibrate: Calibrate = lambda _made, _estimator: None,
) -> tuple[str, PublishedVersion]:
    """Register a version, in stage none.

    Parameters
    ----------
    tell
        Called with how each column is taken, before anything is stored.
    calibrate
        Makes the calibration that is stored with the version, of the version and its fitted model;
        None if its rows have no times.
    at
        Told of each column that is being worked on.

    Returns
    -------
    place, published
        Where the version is stored, and the version.

    Raises
    ------
    BadData
        If a file, column, name or version cannot be used, or the model does not fit the rows; then
        nothing was stored.
    """
    version = submission.version or registry.next_version(submission.name)
    check_name(submission.name, version)
    found = _prepared(registry, submission, tell, at)
    task, estimator, schema = found.task, found.estimator, found.schema
    frame, columns = found.table.frame, found.columns
    named = submission.prediction_column
    predicted = frame[named] if named is not None else None
    predictions = _predictions(predicted, schema, estimator, columns)
    stream = counted(
        schema, columns_of(found.features, schema, submission.pii_key), found.table.events_ms
    )
    reference = build_profile(schema, stream, predictions, at)
    published = PublishedVersion(
        manifest=new_manifest(
            submission.name,
            version,
            task,
            partitions=submission.partitions,
            metrics=dict(submission.metrics),
            feature_engineering=submission.features_module,
            trained=_trained(submission),
            git_revision=git_revision()
            if submission.git_revision is None
            else submission.git_revision,
            libraries=_libraries(submission.artifact, estimator),
            data_digest=file_digest(submission.reference),
            gates=_gates(submission, task, schema),
            labels=submission.labels,
            batch_counts=submission.batch_counts,
        ),
        schema=schema,
        reference=reference,
        performance=_performance(
            frame, submission, schema, reference, [*stream, predictions], estimator, columns
        ),
    )
    published = msgspec.structs.replace(published, calibration=calibrate(published, estimator))
    place = registry.register(published, submission.artifact)
    registry.note_tried(submission.name, version)  # it has predicted the reference here
    return place, registry.load(submission.name, version)


def write_schema(
    registry: ModelRegistry,
    submission: Submission,
    file: Path,
    tell: Callable[[Recognised], None] = lambda _found: None,
) -> Schema:
    """Write the schema that a version would have to a file, to be edited; nothing is registered.

    Raises
    ------
    BadData
        As `register_version`; or if the file exists, or cannot be written.
    """
    schema = _prepared(registry, submission, tell).schema
    try:
        with file.open("xb") as written:
            written.write(msgspec.json.format(msgspec.json.encode(schema), indent=2))
    except OSError as error:
        raise BadData(
            f"The schema cannot be written to {file}: {error.strerror}. Name another file."
        ) from error
    return schema


@dataclass(frozen=True)
class _Prepared:
    """A submission that was read: the model, the reference, and the schema of both."""

    task: Task
    estimator: Any
    table: ReferenceTable
    features: pd.DataFrame
    schema: Schema
    columns: list[Column]


def _prepared(
    registry: ModelRegistry,
    submission: Submission,
    tell: Callable[[Recognised], None],
    at: At = silent,
) -> _Prepared:
    """Read a submission, and tell how its columns are taken."""
    task, estimator = fitted(submission, registry.storage)
    given = None if submission.schema_file is None else schema_from(submission.schema_file)
    table = read_reference(
        submission.reference,
        submission.special,
        _choices(submission, given),
        given,
        fitted=estimator is not None,
        left_out=submission.exclude,
        at=at,
    )
    features = _features(table, submission, estimator)
    output, told = output_of(task, estimator, table, submission)
    schema = _schema(features, table, given, submission, output)
    columns = model_columns(features, schema)
    if estimator is not None:
        schema = as_fitted(schema, features, estimator, columns)
    if submission.multivariate:
        schema = _deriving(schema, features, submission.pii_key)
    lines = (row for row in table.rows if row.column in schema.names)
    tell(Recognised((*lines, *told), table.remarks))
    return _Prepared(task, estimator, table, features, schema, columns)


def _deriving(schema: Schema, features: pd.DataFrame, key: str | None) -> Schema:
    """Return a schema with what columns are derived by, as the reference rows tell."""
    plain = msgspec.structs.replace(schema, derivation=None)
    columns = dict(zip(plain.stream.names, columns_of(features, plain, key), strict=True))
    names = [feature.name for feature in schema.joint]
    derivation = Derivation.fit(names, [np.asarray(columns[name], np.float64) for name in names])
    return msgspec.structs.replace(schema, derivation=derivation)


def _choices(submission: Submission, given: Schema | None) -> Choices:
    """Return what was said, with what the schema's file says of the table."""
    choices = submission.choices
    if given is None:
        return choices
    file = submission.schema_file
    for option, said, name in (("type", choices.types, "kind"), ("unit", choices.units, "unit")):
        if said:
            raise BadData(
                f"The {option}s stand in {file}: write them there as `{name}`, and leave "
                f"--{option} out."
            )
    if choices.table not in {TableFormat(), given.table} and given.table != TableFormat():
        raise BadData(
            f"How the cells are written stands in {file}, as `table`: correct it there, and leave "
            f"the options out."
        )
    if given.table != TableFormat():
        choices = msgspec.structs.replace(choices, table=given.table)
    return choices


def _features(table: ReferenceTable, submission: Submission, estimator: Any) -> pd.DataFrame:
    """Return the columns that are features: those that were said; or in the model's order and only
    its own, if it knows them by name.
    """
    features = table.frame[list(table.features)]
    absent = [name for name in submission.features if name not in features.columns]
    if absent:
        raise BadData(f"{submission.reference} has no feature {', '.join(absent)}.")
    if submission.features:
        features = features[list(submission.features)]
    names: Any = getattr(estimator, "feature_names_in_", getattr(estimator, "feature_names", ()))
    columns = {
        str(name).replace(" ", "_"): name for name in features.columns
    }  # as LightGBM writes them
    wanted = [str(name).replace(" ", "_") for name in names]
    if wanted and all(name in columns for name in wanted):
        return features[[columns[name] for name in wanted]]
    if hasattr(estimator, "feature_names_in_"):
        absent = [name for name in wanted if name not in columns]
        raise BadData(
            f"The model was fitted on columns that {submission.reference} lacks: "
            f"{', '.join(absent)}."
        )
    return features


def _schema(
    features: pd.DataFrame,
    table: ReferenceTable,
    given: Schema | None,
    submission: Submission,
    output: Output,
) -> Schema:
    """Complete the schema of the file, or make one of what was recognised."""
    file = submission.schema_file
    if given is not None:
        for option, values, place in (
            ("--exclude", submission.exclude, "`excluded`"),
            ("--segment", submission.segments, "`segments`"),
        ):
            if values:
                raise BadData(
                    f"{option[2:].capitalize()} stands in {file}: write it there as {place}, and "
                    f"leave {option} out."
                )
        schema = _as_predicted(given, output, file, fitted=submission.artifact is not None)
        return msgspec.structs.replace(
            schema, table=table.choices.table, time=schema.time or table.time
        )
    absent = [name for name in submission.exclude if name not in (*features, *RESERVED)]
    if absent:
        raise BadData(
            f"Cannot exclude {', '.join(absent)}: the reference has no such column, or it is no "
            f"feature."
        )
    return Schema(
        tuple(
            msgspec.structs.replace(table.features[name], excluded="excluded at registration")
            if name in submission.exclude
            else table.features[name]
            for name in map(str, features)
        ),
        prediction=output.kind,
        target=submission.target_column or "",
        classes=output.classes,
        segments=submission.segments,
        table=table.choices.table,
        time=table.time,
        extra="refuse" if submission.artifact is not None else "ignore",
        text_numbers="refuse" if submission.artifact is not None else "take",
        unit=_unit(submission, output),
    )


def _unit(submission: Submission, output: Output) -> str:
    """Return the unit of the predictions: that of the target, or of their own column."""
    units, named = (
        submission.choices.units,
        (submission.target_column, submission.prediction_column),
    )
    names = [name for name in (*named, PREDICTION) if name is not None]
    said = next((units[name] for name in names if name in units), "")
    if said or output.kind != "numeric":
        return said
    return next(filter(None, map(unit_in, names)), "")


def _as_predicted(schema: Schema, output: Output, file: Path | None, *, fitted: bool) -> Schema:
    """Check that a given schema fits the model's output, and complete its classes."""
    kind, classes = output.kind, output.classes
    if not fitted:
        return msgspec.structs.replace(schema, classes=schema.classes or classes)
    if schema.prediction != kind:
        raise BadData(
            f"{file} says that the prediction is {schema.prediction}, but the model's is {kind}. "
            f"Correct it."
        )
    if schema.classes and classes and schema.classes != classes:
        raise BadData(
            f"{file} has the classes {', '.join(schema.classes)}, but the model's probabilities "
            f"are in the order "
            f"{', '.join(classes)}. Correct it, or leave them out."
        )
    return msgspec.structs.replace(schema, classes=schema.classes or classes)


def _performance(
    frame: pd.DataFrame,
    submission: Submission,
    schema: Schema,
    reference: ReferenceProfile,
    stream: list[Column | None],
    estimator: Any,
    columns: list[Column],
) -> PerformanceReference | None:
    """Measure the reference rows that have a label; None without labels or predictions, the last of
    the stream's columns.
    """
    layout = Layout.of(schema, reference)
    known = [column for column in stream if column is not None]
    if (
        submission.target_column is None
        or len(known) < len(stream)
        or layout is None
        or schema.prediction is None
    ):
        return None
    labels = answers_of(frame[submission.target_column], schema)
    given = None
    if layout.scored and estimator is not None:
        given = probabilities(schema, estimator, columns)
    elif submission.probability_columns:
        given = _probabilities(frame, submission, schema)
    return PerformanceReference.of_version(schema, reference, known, labels, given)


def _probabilities(frame: pd.DataFrame, submission: Submission, schema: Schema) -> Floats:
    """Return the probabilities that the reference has, shape (rows, classes)."""
    names, classes = submission.probability_columns, schema.classes
    if not classes:
        raise BadData("Probabilities are of classes: name them with --task or --classes.")
    if len(names) != len(classes) and not (len(names) == 1 and len(classes) == 2):
        raise BadData(
            f"There are {len(names)} columns of probabilities, but {len(classes)} classes "
            f"({', '.join(classes[:10])}): name one for each, in this order, or of two classes the "
            f"second's alone."
        )
    columns = [
        np.asarray(as_column(frame[name], Feature(name, "numeric", nullable=True), schema.table))
        for name in names
    ]
    found = np.column_stack([1 - columns[0], *columns] if len(columns) < len(classes) else columns)
    for row, values in enumerate(found.tolist(), start=1):
        fault = schema.probabilities_fault(values)
        if fault is not None:
            raise BadData(f"Probabilities in row {row} of {submission.reference}: {fault}.")
    return found


def _predictions(
    predicted: pd.Series | None, schema: Schema, estimator: Any, columns: list[Column]
) -> Column | None:
    """Return the reference's predictions: from their column, or by the model."""
    if schema.prediction is None:
        return None
    if predicted is not None:
        return answers_of(predicted, schema)
    if estimator is None:
        return None
    try:
        return predict(schema, estimator, columns)
    except BadData:
        raise
    except Exception as error:
        words = "" if schema.personal else f": {error}"  # it can quote a value
        raise BadData(
            f"The model cannot predict the reference rows: {type(error).__name__}{words}. Are they "
            f"the engineered "
            "features, in the order of training? Name columns that are none with --target-column "
            "and --time-column."
        ) from error


def _gates(submission: Submission, task: Task, schema: Schema) -> Gates:
    gates = submission.gates or Gates(methods=())
    unknown = scores.unknown_metrics(gates.metrics, numeric=schema.prediction == "numeric")
    if unknown:
        raise BadData(
            f"These are no metrics of a {schema.prediction} prediction: {', '.join(unknown)}; see "
            f"docs/models.md."
        )
    if gates.methods or task == "monitor":
        return gates
    return msgspec.structs.replace(
        gates, methods=("predict",) if task == "regression" else ("predict", "predict_proba")
    )


def _libraries(artifact: Path | None, estimator: Any) -> dict[str, str]:
    return library_versions(estimator, format_of(artifact).libraries) if artifact else {}


def _trained(submission: Submission) -> str:
    """Return when the model was fitted: as said, or when its file was written."""
    if submission.trained is not None or submission.artifact is None:
        return submission.trained or ""
    written = submission.artifact.stat().st_mtime
    return datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")
