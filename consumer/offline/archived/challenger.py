"""A registered version that predicts archived rows of another one, which answered them."""

import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from driftgauge.shared.arrays import Flags
from driftgauge.shared.errors import BadData
from driftgauge.shared.paired.losses import Answers
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.agreement import checked
from driftgauge.shared.versions.manifest import PublishedVersion
from driftgauge.shared.versions.prediction import class_labels, predict, probabilities


class Challenger:
    """The fitted model of a version, called with archived features of another one.

    Parameters
    ----------
    champion
        The version whose predictions are archived.
    challenger
        A version of the same model.

    Attributes
    ----------
    name, version
        What it is called.
    features
        What it is called with.
    scored
        Whether it gives a probability of each class of the champion.

    Raises
    ------
    ModelNotFound
        If the challenger has no model file.
    BadData
        If it cannot be called with what is archived, or its file is not the registered one.
    """

    def __init__(
        self, registry: ModelRegistry, champion: PublishedVersion, challenger: PublishedVersion
    ) -> None:
        faults = list(faults_of(champion.schema, challenger.schema))
        self.version = challenger.manifest.version
        self.name = f"{challenger.manifest.model} {self.version}"
        if faults:
            raise BadData(
                f"{self.name} cannot predict archived rows of {champion.manifest.version}: "
                f"{'; '.join(faults)}."
            )
        self.features = challenger.schema.features
        self._schema = challenger.schema
        self._fitted = registry.load_artifact(challenger.manifest.model, self.version)
        classes = challenger.schema.classes
        self._by_share = bool(classes) and hasattr(self._fitted, "predict_proba")
        if self._by_share and class_labels(self._fitted) != classes:
            raise BadData(
                f"The model of {self.name} has other classes than its schema, or in another "
                f"order, so it is not used. Register it with the model's order."
            )
        asked = champion.schema.classes
        self.scored = self._by_share and bool(asked) and set(asked) == set(classes)
        self._order = [classes.index(name) for name in asked] if self.scored else []

    def takes(self, columns: Sequence[Column]) -> Flags:
        """Tell of each row whether the schema of the challenger takes it: what it would refuse at
        the API is no row for it.
        """
        refused = np.zeros(len(columns[0]), np.bool_)
        for column, feature in zip(columns, self.features, strict=True):
            for _, wrong in checked(column, feature):
                refused |= np.asarray(wrong, np.bool_)
        return ~refused

    def answers(self, columns: Sequence[Column]) -> Answers:
        """Predict rows, as serving does: of probabilities the class with the largest.

        Parameters
        ----------
        columns
            One column for each of `features`.

        Raises
        ------
        BadData
            If the model fails, or gives something that is no prediction.
        """
        try:
            if not self._by_share:
                return Answers(predict(self._schema, self._fitted, columns))
            shares = probabilities(self._schema, self._fitted, columns)
        except BadData as error:
            raise BadData(f"{self.name} cannot predict archived rows: {error}") from error
        except Exception as error:
            raise BadData(f"{self.name} fails at archived rows: {_failure(error)}.") from error
        assert shares is not None  # noqa: S101  the model has them
        if not np.isfinite(shares).all():
            raise BadData(f"{self.name} gives probabilities of archived rows that are no numbers.")
        names = np.array(self._schema.classes, dtype=object)
        said = names[shares.argmax(axis=1)].tolist()
        return Answers(said, shares[:, self._order] if self.scored else None)


def faults_of(champion: Schema, challenger: Schema) -> Iterator[str]:
    """Yield why a version cannot be called with the archived features of another one, or its
    predictions not be compared with the other's.

    Examples
    --------
    >>> first = Schema((Feature("x", "numeric"), Feature("email", "categorical")))
    >>> second = Schema((Feature("x", "categorical"), Feature("y", "numeric")), "categorical")
    >>> for fault in faults_of(first, second):
    ...     print(fault)
    it predicts another kind of values, categorical instead of numeric
    its feature 'x' is categorical, and numeric in the archive
    its feature 'y' is not in the archive
    >>> next(faults_of(first, first))
    "its feature 'email' is personal, so the archive does not hold what a model needs"
    """
    if challenger.prediction is None or challenger.prediction != champion.prediction:
        yield (
            f"it predicts another kind of values, {challenger.prediction or 'none'} instead of "
            f"{champion.prediction or 'none'}"
        )
    if challenger.unit != champion.unit:
        units = (challenger.unit or "no unit", champion.unit or "no unit")
        yield f"its predictions are in another unit, {units[0]} instead of {units[1]}"
    known = {feature.name: feature for feature in champion.features}
    for feature in challenger.features:
        fault = _fault(feature, known.get(feature.name))
        if fault:
            yield f"its feature {feature.name!r} {fault}"


def _fault(feature: Feature, archived: Feature | None) -> str:
    """Return why archived values of a feature are not what a model takes; empty if they are."""
    if archived is None:
        return "is not in the archive"
    if "keep" not in (archived.pii, feature.pii) or archived.pii != feature.pii:
        return "is personal, so the archive does not hold what a model needs"
    if feature.kind != archived.kind:
        return f"is {feature.kind}, and {archived.kind} in the archive"
    if feature.time != archived.time:
        return "is a time that is written in another way in the archive"
    if feature.unit != archived.unit:
        return f"is in {feature.unit or 'no unit'}, and in {archived.unit or 'none'} in the archive"
    return ""


def _failure(error: Exception) -> str:
    """Say what a model raised and where, but not its message: that can quote values of a row."""
    frame: Any = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {frame.filename}:{frame.lineno}"
