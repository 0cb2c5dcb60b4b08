"""What is asked for at a registration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from driftgauge.consumer.offline.reference_table import Special
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.columns.choices import Choices
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.regular_files import read_regular
from driftgauge.shared.versions.gates import Gates
from driftgauge.shared.versions.manifest import Task


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
    prediction_column, target_column, time_column
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
        Schema to use instead of the inferred one.
    partitions
        Number of partitions of a new model; a later version has those of the first.
    gates
        Gates before production; None for the default ones.
    pii_key
        Key of the hashes of personal features, if the schema has any.
    features_module
        Dotted name of the module that makes the features.
    probability_columns
        Columns with the probability of each class, in their order; or of the second of two.
    choices
        What is said of the types of columns, and of how they are written.
    git_revision
        Commit of the training code; None asks git in the current folder.
    features
        The columns that are features, in the model's order; empty for those that the fitted model
        names, or else all.
    multivariate
        Whether columns are derived that show how the numeric features go together
        (shared/reference/derivation.py).
    trained
        Time at which the model was fitted, ISO 8601; None is that of its file.
    """

    name: str
    reference: Path
    version: str | None = None
    artifact: Path | None = None
    task: Task | None = None
    prediction_column: str | None = None
    target_column: str | None = None
    time_column: str | None = None
    exclude: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    schema_file: Path | None = None
    partitions: int = 1
    metrics: Mapping[str, float] = field(default_factory=dict)
    gates: Gates | None = None
    labels: bool = False
    batch_counts: bool = False
    features_module: str = ""
    pii_key: str | None = None
    segments: tuple[str, ...] = ()
    probability_columns: tuple[str, ...] = ()
    choices: Choices = field(default_factory=Choices)
    git_revision: str | None = None
    trained: str | None = None
    features: tuple[str, ...] = ()
    multivariate: bool = False

    @property
    def special(self) -> Special:
        """The columns that are no features."""
        return Special(
            self.prediction_column, self.target_column, self.time_column, self.probability_columns
        )


def schema_from(file: Path) -> Schema:
    """Read a schema from a file; BadData if it holds none."""
    try:
        return msgspec.json.decode(read_regular(file), type=Schema)
    except FileNotFoundError:
        raise BadData(
            f"There is no schema {file}. Write one with --write-schema {file}, which registers "
            f"nothing; edit it, and register with --schema {file}."
        ) from None
    except (msgspec.MsgspecError, RecursionError, OSError) as error:
        raise BadData(f"{file} is no schema: {error}.") from error
