"""Registration of a version from the rows that it was trained on: with its fitted model, or only to
be monitored.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from driftgauge.consumer.offline.calibrating import parse_times
from driftgauge.consumer.offline.model_dtypes import as_fitted
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import Layout, PerformanceReference
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Kind
from driftgauge.shared.reference.frames import as_column, columns_of, infer
from driftgauge.shared.reference.profile import Column, ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.registry.provenance import file_digest, git_revision, library_versions
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.registry.version_folder import check_name, load_estimator
from driftgauge.shared.registry.version_writing import artifact_name
from driftgauge.shared.tables.reading import read_table
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
    """What is to be registered.

    Parameters
    ----------
    name, version
        Of the model; without a version the one after the newest.
    reference
        CSV with a header: the rows of the reference profile.
    artifact
        The fitted model's file, None for a model that is only monitored.
    task
        Of the fitted model; None to ask the model.
    prediction, target, time
        Columns that are no features; all must exist. Without a column of predictions the artifact
        makes them.
    exclude
        Features that are left out of drift.
    segments
        Categorical features by whose values drift and performance are told apart
        (shared/reference/segments.py).
    classes
        Labels in the order of the model's probabilities, where the model does not know them:
        LightGBM's text.
    schema_file
        Schema to use instead of the inferred one; written if it does not exist.
    partitions
        Of a new model; a later version has those of the first.
    gates
        None for the usual ones.
    pii_key
        Key of the hashes of personal features, if the schema has any.
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


def register_version(
    registry: ModelRegistry, submission: Submission
) -> tuple[Path, PublishedVersion]:
    """Register a version, in stage none.

    Returns
    -------
    folder, published
        Where the version is stored, and what was stored.

    Raises
    ------
    BadData
        If a file, column, name or version cannot be used, or the model does not fit the rows; then
        nothing was stored.
    """
    version = submission.version or registry.next_version(submission.name)
    check_name(submission.name, version)
    frame = _reference_rows(submission)
    task, estimator = _fitted(submission)
    features = _features(frame, submission, estimator)
    predicted = frame[submission.prediction] if submission.prediction is not None else None
    schema = _schema(features, predicted, submission, _output(task, estimator))
    columns = model_columns(features, schema)
    if estimator is not None:
        schema = as_fitted(schema, features, estimator, columns)
    predictions = _predictions(predicted, schema, estimator, columns)
    stream = columns_of(features, schema, submission.pii_key)
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


def _reference_rows(submission: Submission) -> pd.DataFrame:
    frame = read_table(submission.reference)
    named = (submission.prediction, submission.target, submission.time)
    absent = [column for column in named if column is not None and column not in frame.columns]
    if absent:
        raise BadData(
            f"{submission.reference} has no column {', '.join(absent)}; it has: "
            f"{', '.join(map(str, frame.columns))}."
        )
    if submission.time is not None:
        parse_times(
            frame[submission.time], str(submission.reference)
        )  # for the calibration, which comes when it is stored
    return frame


def _fitted(submission: Submission) -> tuple[Task, Any]:
    """Load the artifact, and find its task."""
    if submission.artifact is None:
        if submission.task not in {None, "monitor"}:
            raise BadData(
                "Without an artifact a model is only monitored: leave the task out, or give "
                "--artifact."
            )
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


def _output(task: Task, estimator: Any) -> tuple[Kind | None, tuple[str, ...]]:
    """Return kind and classes of a fitted model's prediction; None as kind without a model."""
    if estimator is None:
        return None, ()
    return ("numeric", ()) if task == "regression" else ("categorical", class_labels(estimator))


def _features(frame: pd.DataFrame, submission: Submission, estimator: Any) -> pd.DataFrame:
    """Return the columns that are features; in the model's order, and only its own, if it knows
    them by name.
    """
    special = [
        name
        for name in (submission.prediction, submission.target, submission.time)
        if name is not None
    ]
    features = frame.drop(columns=special)
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
    predicted: pd.Series | None,
    submission: Submission,
    output: tuple[Kind | None, tuple[str, ...]],
) -> Schema:
    """Read the schema from its file, or infer it and write the file if one was named."""
    file, (kind, classes) = submission.schema_file, output
    if file is not None and file.exists():
        if submission.exclude:
            raise BadData(
                f"What is excluded stands in {file}: write it there as `excluded`, and leave "
                f"--exclude out."
            )
        if submission.segments:
            raise BadData(
                f"The segments stand in {file}: write them there as `segments`, and leave "
                f"--segment out."
            )
        return _as_predicted(_schema_from(file), kind, classes, file)
    reasons = dict.fromkeys(submission.exclude, "excluded at registration")
    schema = infer(features, reasons, predicted, submission.target or "", nullable=kind is None)
    if kind is not None:
        schema = msgspec.structs.replace(schema, prediction=kind, classes=classes)
    elif submission.classes:
        schema = msgspec.structs.replace(schema, classes=submission.classes)
    schema = msgspec.structs.replace(schema, segments=submission.segments)
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(schema), indent=2))
    return schema


def _schema_from(file: Path) -> Schema:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Schema)
    except (msgspec.MsgspecError, OSError) as error:
        raise BadData(f"{file} is no schema: {error}.") from error


def _as_predicted(
    schema: Schema, kind: Kind | None, classes: tuple[str, ...], file: Path
) -> Schema:
    """Check that a given schema fits the model's output, and complete its classes."""
    if kind is None:
        return schema
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
    layout, known = (
        Layout.of(schema, reference),
        [column for column in stream if column is not None],
    )
    if (
        submission.target is None
        or len(known) < len(stream)
        or layout is None
        or schema.prediction is None
    ):
        return None
    labels = as_column(frame[submission.target], schema.prediction)
    given = (
        probabilities(schema, estimator, columns)
        if layout.scored and estimator is not None
        else None
    )
    return PerformanceReference.of_version(schema, reference, known, labels, given)


def _predictions(
    predicted: pd.Series | None, schema: Schema, estimator: Any, columns: list[Column]
) -> Column | None:
    """Return the reference's predictions: from their column, or by the model."""
    if schema.prediction is None:
        return None
    if predicted is not None:
        return as_column(predicted, schema.prediction)
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
