"""What a version predicts: by the fitted model, or by what was said and the predictions
themselves.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from driftgauge.consumer.offline.reference_table import ReferenceTable, classes_in, is_few_whole
from driftgauge.consumer.offline.submission import Submission, schema_from
from driftgauge.shared.artifacts import format_of
from driftgauge.shared.errors import BadData, DriftgaugeError
from driftgauge.shared.reference.columns.choices import ColumnRow
from driftgauge.shared.reference.feature import Kind
from driftgauge.shared.registry import trial
from driftgauge.shared.registry.version_folder import load_estimator
from driftgauge.shared.regular_files import LARGE, read_regular
from driftgauge.shared.storage.storage import Storage
from driftgauge.shared.versions.manifest import Task
from driftgauge.shared.versions.prediction import class_labels


def fitted(submission: Submission, storage: Storage) -> tuple[Task, Any]:
    """Load the artifact, after a trial in a process of its own, and find its task."""
    if submission.artifact is None:
        return "monitor", None
    name = format_of(submission.artifact).file
    try:
        content = read_regular(submission.artifact, LARGE)
    except OSError as error:
        raise BadData(f"{submission.artifact} cannot be read: {error.strerror}.") from error
    task, classes = submission.task or "monitor", _given_classes(submission)
    trial.try_out(storage, trial.Tried(content, name, task, classes))
    try:
        estimator = load_estimator(content, name, task, classes)
    except DriftgaugeError:
        raise
    except Exception as error:
        raise BadData(
            f"{submission.artifact} cannot be loaded: {type(error).__name__}: {error}."
        ) from error
    labels = class_labels(estimator)
    if submission.classes not in {(), labels}:
        raise BadData(
            f"The model's own classes are {', '.join(labels) or 'unknown'}: leave --classes out."
        )
    own: Task | None = getattr(estimator, "task", None)
    return submission.task or own or _task_of(estimator), estimator


def _given_classes(submission: Submission) -> tuple[str, ...]:
    """Return the classes of a model that does not know them: from the submission, or from its
    schema's file.
    """
    file = submission.schema_file
    return submission.classes or (
        schema_from(file).classes if file is not None and file.exists() else ()
    )


def _task_of(estimator: Any) -> Task:
    from sklearn.base import is_classifier, is_regressor

    with suppress(AttributeError, TypeError):  # no estimator of scikit-learn's kind: unknown
        if is_regressor(estimator):
            return "regression"
        if is_classifier(estimator):
            return "binary" if len(estimator.classes_) <= 2 else "multiclass"
    raise BadData(f"The task of a {type(estimator).__name__} is unknown; name it with --task.")


@dataclass(frozen=True)
class Output:
    """What is predicted: its kind (None without predictions) and classes."""

    kind: Kind | None
    classes: tuple[str, ...] = ()


def output_of(
    task: Task, estimator: Any, table: ReferenceTable, submission: Submission
) -> tuple[Output, tuple[ColumnRow, ...]]:
    """Tell what is predicted, by the fitted model, or by what was said and the predictions; and the
    line of the predictions in the table.
    """
    if estimator is not None:
        kind: Kind = "numeric" if task == "regression" else "categorical"
        return Output(kind, () if task == "regression" else class_labels(estimator)), ()
    if submission.prediction_column is None:
        if submission.probability_columns or submission.task not in {None, "monitor"}:
            raise BadData(
                "There is a task, or there are probabilities, but no predictions: name their "
                "column with --prediction-column."
            )
        return Output(None), ()
    return _monitored_output(submission, table)


def _monitored_output(
    submission: Submission, table: ReferenceTable
) -> tuple[Output, tuple[ColumnRow, ...]]:
    """Tell what is predicted elsewhere."""
    assert table.prediction is not None  # noqa: S101  its caller has looked
    (feature, row), task, classes = table.prediction, submission.task, submission.classes
    why = f"as said: {task}"
    warnings: tuple[str, ...] = ()
    if task == "regression":
        if classes:
            raise BadData("A regression has no classes: leave --classes out, or correct --task.")
        output = Output("numeric")
    elif classes or task in {"binary", "multiclass"} or feature.kind == "boolean":
        answers = (submission.prediction_column, submission.target_column)
        found = classes or classes_in([table.frame[name] for name in answers if name is not None])
        if task == "binary" and len(found) != 2:
            raise BadData(
                f"--task binary needs two classes, not {len(found)} ({', '.join(found[:10])}): "
                f"name them with --classes, or say --task multiclass."
            )
        output, why = Output("categorical", found), f"classes {', '.join(found[:10])}"
    else:
        output = Output("categorical" if feature.kind == "categorical" else "numeric")
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
