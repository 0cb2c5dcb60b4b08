"""Registration of a version from the rows that it was trained on: with its fitted model, or only to
be monitored.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from driftgauge.consumer.offline.model_dtypes import as_fitted
from driftgauge.consumer.offline.reference_table import (
    Recognised,
    ReferenceTable,
    Special,
    classes_in,
    is_few_whole,
    read_reference,
)
from driftgauge.shared.arrays import Floats
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import Layout, PerformanceReference
from driftgauge.shared.reference.building import build_profile, counted
from driftgauge.shared.reference.columns.choices import Choices, ColumnRow
from driftgauge.shared.reference.feature import Feature, Kind
from driftgauge.shared.reference.frames import answers_of, as_column, columns_of
from driftgauge.shared.reference.profile import Column, ReferenceProfile
from driftgauge.shared.reference.schema import RESERVED, Schema
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.registry.provenance import file_digest, git_revision, library_versions
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.registry.version_folder import check_name, load_estimator
from driftgauge.shared.registry.version_writing import artifact_name
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.versions import scores
from driftgauge.shared.versions.gates import Gates
from driftgauge.shared.versions.manifest import PublishedVersion, Task
from driftgauge.shared.versions.prediction import (
    class_labels,
    model_columns,
    predict,
    probabilities,
)

_OBJECTIVE = re.compile(r"^objective=(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Submission:
    """A version to register.

    Parameters
    ----------
    name, version
        Names of model and version; None as version is the one after the newest.
    reference
        The rows of the reference profile: CSV with a header, or another table that is read.
    artifact
        File of the fitted model; None for a model that is only monitored.
    task
        What is predicted; None to ask the fitted model, or else to tell by the predictions.
    prediction, target, time
        Names of columns that are not features; all must exist. Without a column of predictions the
        artifact makes them.
    exclude
        Features that are excluded from drift.
    segments
        Categorical features by whose values drift and performance are told apart
        (shared/reference/segments.py).
    classes
        Labels in the order of the probabilities, where no model knows them: of LightGBM's text, and
        of a model that is only monitored.
    schema_file
        Schema to use instead of the inferred one; written if it does not exist.
    partitions
        Number of partitions of a new model; a later version has those of the first.
    gates
        Gates before production; None for the default ones.
    pii_key
        Key of the hashes of personal features, if the schema has any.
    probabilities
        Columns with the probability of each class, in their order; or of the second of two.
    choices
        What is said of the types of columns, and of how they are written.
    """

    name: str
    reference: Path
    version: str | None = None
    artifact: Path | None = None
    task: Task | None = None
    prediction: str | None = None
    target: str | None = None
    time: str | None = None
    exclude: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    schema_file: Path | None = None
    partitions: int = 1
    metrics: Mapping[str, float] = field(default_factory=dict)
    gates: Gates | None = None
    labels: bool = False
    batch_counts: bool = False
    feature_engineering: str = ""
    pii_key: str | None = None
    segments: tuple[str, ...] = ()
    probabilities: tuple[str, ...] = ()
    choices: Choices = field(default_factory=Choices)

    @property
    def special(self) -> Special:
        """The columns that are no features."""
        return Special(self.prediction, self.target, self.time, self.probabilities)


def register_version(
    registry: ModelRegistry,
    submission: Submission,
    tell: Callable[[Recognised], None] = lambda _found: None,
) -> tuple[Path, PublishedVersion]:
    """Register a version, in stage none.

    Parameters
    ----------
    tell
        Called with how each column is taken, before anything is stored.

    Returns
    -------
    folder, published
        Folder of the stored version, and the version.

    Raises
    ------
    BadData
        If a file, column, name or version cannot be used, or the model does not fit the rows; then
        nothing was stored.
    """
    version = submission.version or registry.next_version(submission.name)
    check_name(submission.name, version)
    task, estimator = _fitted(submission)
    file = submission.schema_file
    given = _schema_from(file) if file is not None and file.exists() else None
    table = read_reference(
        submission.reference,
        submission.special,
        _choices(submission, given),
        given,
        fitted=estimator is not None,
        left_out=submission.exclude,
    )
    frame = table.frame
    features = _features(table, submission, estimator)
    output, told = _output(task, estimator, table, submission)
    schema = _schema(features, table, given, submission, output)
    columns = model_columns(features, schema)
    if estimator is not None:
        schema = as_fitted(schema, features, estimator, columns)
    lines = (row for row in table.rows if row.column in schema.names)
    tell(Recognised((*lines, *told), table.remarks))
    predicted = frame[submission.prediction] if submission.prediction is not None else None
    predictions = _predictions(predicted, schema, estimator, columns)
    stream = counted(schema, columns_of(features, schema, submission.pii_key), table.events_ms)
    reference = build_profile(schema, stream, predictions)
    published = PublishedVersion(
        manifest=new_manifest(
            submission.name,
            version,
            task,
            partitions=submission.partitions,
            metrics=dict(submission.metrics),
            feature_engineering=submission.feature_engineering,
            trained=_modified(submission.artifact),
            git_revision=git_revision(),
            libraries=library_versions(estimator) if submission.artifact else {},
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
    folder = registry.register(published, submission.artifact)
    return folder, registry.load(submission.name, version)


def _choices(submission: Submission, given: Schema | None) -> Choices:
    """Return what was said, with what the schema's file says of the table."""
    choices = submission.choices
    if given is None:
        return choices
    file = submission.schema_file
    if choices.types:
        raise BadData(
            f"The types stand in {file}: write them there as `kind`, and leave --type out."
        )
    if choices.table not in {TableFormat(), given.table} and given.table != TableFormat():
        raise BadData(
            f"How the cells are written stands in {file}, as `table`: correct it there, and leave "
            f"the options out."
        )
    if given.table != TableFormat():
        choices = msgspec.structs.replace(choices, table=given.table)
    return choices


def _fitted(submission: Submission) -> tuple[Task, Any]:
    """Load the artifact, and find its task."""
    if submission.artifact is None:
        return "monitor", None
    name = artifact_name(submission.artifact)
    try:
        content = submission.artifact.read_bytes()
    except OSError as error:
        raise BadData(f"{submission.artifact} cannot be read: {error.strerror}.") from error
    if name.endswith(".txt"):
        task = submission.task or _task_of_text(content.decode(errors="replace"))
        return task, load_estimator(content, name, task, _given_classes(submission))
    try:
        estimator = load_estimator(content, name, "monitor", ())
    except Exception as error:
        raise BadData(
            f"{submission.artifact} cannot be loaded: {type(error).__name__}: {error}."
        ) from error
    labels = class_labels(estimator)
    if submission.classes not in {(), labels}:
        raise BadData(
            f"The model's own classes are {', '.join(labels) or 'unknown'}: leave --classes out."
        )
    return submission.task or _task_of(estimator), estimator


def _given_classes(submission: Submission) -> tuple[str, ...]:
    """Return the classes of a model that does not know them: from the submission, or from its
    schema's file.
    """
    file = submission.schema_file
    return submission.classes or (
        _schema_from(file).classes if file is not None and file.exists() else ()
    )


def _task_of(estimator: Any) -> Task:
    from sklearn.base import is_classifier, is_regressor

    with suppress(AttributeError, TypeError):  # no estimator of scikit-learn's kind: unknown
        if is_regressor(estimator):
            return "regression"
        if is_classifier(estimator):
            return "binary" if len(estimator.classes_) <= 2 else "multiclass"
    raise BadData(f"The task of a {type(estimator).__name__} is unknown; name it with --task.")


def _task_of_text(text: str) -> Task:
    found = _OBJECTIVE.search(text)
    objective = found[1] if found else ""
    known: dict[str, Task] = {
        "binary": "binary",
        "multiclass": "multiclass",
        "multiclassova": "multiclass",
    }
    return known.get(objective, "regression")


@dataclass(frozen=True)
class _Output:
    """What is predicted: its kind (None without predictions) and classes."""

    kind: Kind | None
    classes: tuple[str, ...] = ()


def _output(
    task: Task, estimator: Any, table: ReferenceTable, submission: Submission
) -> tuple[_Output, tuple[ColumnRow, ...]]:
    """Tell what is predicted, by the fitted model, or by what was said and the predictions; and the
    line of the predictions in the table.
    """
    if estimator is not None:
        kind: Kind = "numeric" if task == "regression" else "categorical"
        return _Output(kind, () if task == "regression" else class_labels(estimator)), ()
    if submission.prediction is None:
        if submission.probabilities or submission.task not in {None, "monitor"}:
            raise BadData(
                "There is a task, or there are probabilities, but no predictions: name their "
                "column with --prediction-column."
            )
        return _Output(None), ()
    return _monitored_output(submission, table)


def _monitored_output(
    submission: Submission, table: ReferenceTable
) -> tuple[_Output, tuple[ColumnRow, ...]]:
    """Tell what is predicted elsewhere."""
    assert table.prediction is not None  # noqa: S101  its caller has looked
    (feature, row), task, classes = table.prediction, submission.task, submission.classes
    why = f"as said: {task}"
    warnings: tuple[str, ...] = ()
    if task == "regression":
        if classes:
            raise BadData("A regression has no classes: leave --classes out, or correct --task.")
        output = _Output("numeric")
    elif classes or task in {"binary", "multiclass"} or feature.kind == "boolean":
        answers = (submission.prediction, submission.target)
        found = classes or classes_in([table.frame[name] for name in answers if name is not None])
        if task == "binary" and len(found) != 2:
            raise BadData(
                f"--task binary needs two classes, not {len(found)} ({', '.join(found[:10])}): "
                f"name them with --classes, or say --task multiclass."
            )
        output, why = _Output("categorical", found), f"classes {', '.join(found[:10])}"
    else:
        output = _Output("categorical" if feature.kind == "categorical" else "numeric")
        why = row.why
        if output.kind == "numeric" and is_few_whole(row):
            other = "binary" if row.distinct == 2 else "multiclass"
            warnings = (
                f"taken as numbers, a regression: if these are classes, say --task {other}",
            )
    told = msgspec.structs.replace(
        row, kind=output.kind, why=f"prediction: {why}", warnings=warnings
    )
    return output, (told,)


def _features(table: ReferenceTable, submission: Submission, estimator: Any) -> pd.DataFrame:
    """Return the columns that are features: in the model's order and only its own, if it knows
    by name.
    """
    features = table.frame[list(table.features)]
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
    output: _Output,
) -> Schema:
    """Complete the schema of the file, or make one of what was recognised, and write it to the file
    if one was named.
    """
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
    schema = Schema(
        tuple(
            msgspec.structs.replace(table.features[name], excluded="excluded at registration")
            if name in submission.exclude
            else table.features[name]
            for name in map(str, features)
        ),
        prediction=output.kind,
        target=submission.target or "",
        classes=output.classes,
        segments=submission.segments,
        table=table.choices.table,
        time=table.time,
        extra="refuse" if submission.artifact is not None else "ignore",
        text_numbers="refuse" if submission.artifact is not None else "take",
    )
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(schema), indent=2))
    return schema


def _schema_from(file: Path) -> Schema:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Schema)
    except (msgspec.MsgspecError, OSError) as error:
        raise BadData(f"{file} is no schema: {error}.") from error


def _as_predicted(schema: Schema, output: _Output, file: Path | None, *, fitted: bool) -> Schema:
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
        submission.target is None
        or len(known) < len(stream)
        or layout is None
        or schema.prediction is None
    ):
        return None
    labels = answers_of(frame[submission.target], schema)
    given = None
    if layout.scored and estimator is not None:
        given = probabilities(schema, estimator, columns)
    elif submission.probabilities:
        given = _probabilities(frame, submission, schema)
    return PerformanceReference.of_version(schema, reference, known, labels, given)


def _probabilities(frame: pd.DataFrame, submission: Submission, schema: Schema) -> Floats:
    """Return the probabilities that the reference has, shape (rows, classes)."""
    names, classes = submission.probabilities, schema.classes
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


def _modified(artifact: Path | None) -> str:
    """Return the time at which the artifact was written: that of the training."""
    if artifact is None:
        return ""
    return datetime.fromtimestamp(artifact.stat().st_mtime, UTC).isoformat(timespec="seconds")
