"""The steps of a pipeline before its model: what they make of rows, and of which feature each
column that they make is.

A step may make several columns of a feature, as one-hot encoding does, and none of several ones:
then what a column contributes is of one feature. Steps are told by the names of their classes, so
that no library is imported here. Pure.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.explaining.explanation import Unexplained

COLUMN_BY_COLUMN: Final = frozenset(
    (
        "MaxAbsScaler",
        "MinMaxScaler",
        "OrdinalEncoder",
        "PowerTransformer",
        "QuantileTransformer",
        "RobustScaler",
        "SimpleImputer",
        "StandardScaler",
    )
)
"""Classes of scikit-learn that make of each column one."""
LEFT: Final = (None, "passthrough")
"""Steps that do nothing."""


class Made(NamedTuple):
    """What the steps made of rows.

    Parameters
    ----------
    rows
        As the model takes them, shape (rows, columns).
    owners
        Place of the feature of each column.
    """

    rows: Any
    owners: Ints


def parted(fitted: Any) -> tuple[list[Any], Any]:
    """Return the steps of a pipeline, and the model behind them; no steps of a bare model. A search
    for settings is the model that it found.
    """
    steps: list[Any] = []
    while True:
        if hasattr(fitted, "best_estimator_"):
            fitted = fitted.best_estimator_
        elif hasattr(fitted, "steps"):
            *before, (_, fitted) = fitted.steps
            steps += [step for _, step in before]
        else:
            return steps, fitted


def through(steps: Sequence[Any], rows: Any) -> Made:
    """Lead rows through steps.

    Raises
    ------
    Unexplained
        If a step is of a kind that may mix features.
    """
    owners = np.arange(rows.shape[1])
    for step in steps:
        if not _does_nothing(step):
            from_columns = columns_of(step, rows.shape[1])
            rows = step.transform(rows)
            if rows.shape[1] != len(from_columns):
                raise _mixes(step)
            owners = owners[from_columns]
    return Made(rows.toarray() if hasattr(rows, "toarray") else rows, owners)


def gathered(parts: Floats, owners: Ints, features: int) -> Floats:
    """Add up the contributions of each feature's columns.

    Parameters
    ----------
    parts
        Shape (rows, outputs, columns + 1), the base last.

    Returns
    -------
    gathered
        Shape (rows, outputs, features + 1).

    Examples
    --------
    >>> gathered(np.array([[[1.0, 2.0, 4.0, 9.0]]]), np.array([0, 0, 1]), 2).tolist()
    [[[3.0, 4.0, 9.0]]]
    """
    of_feature = np.append(owners, features)[:, None] == np.arange(features + 1)
    found: Floats = parts @ of_feature.astype(np.float64)
    return found


def columns_of(step: Any, count: int) -> Ints:
    """Return of which column, of so many that a step takes, each one is that it makes.

    Raises
    ------
    Unexplained
        If that cannot be told.
    """
    if _does_nothing(step):
        return np.arange(count)
    if hasattr(step, "steps"):
        found = np.arange(count)
        for _, one in step.steps:
            found = found[columns_of(one, len(found))]
        return found
    if not type(step).__module__.startswith("sklearn."):
        raise _mixes(step)
    name = type(step).__name__
    if name in COLUMN_BY_COLUMN and not getattr(step, "add_indicator", False):
        return np.arange(count)
    if name == "OneHotEncoder":
        return np.repeat(np.arange(count), [_width(step, place) for place in range(count)])
    if name == "ColumnTransformer":
        return _side_by_side(step, count)
    raise _mixes(step)


def _does_nothing(step: Any) -> bool:
    if isinstance(step, str) or step is None:
        return step in LEFT
    return type(step).__name__ == "FunctionTransformer" and step.func is None


def _width(step: Any, place: int) -> int:
    """Return how many columns a one-hot encoder makes of a column."""
    rare = getattr(step, "infrequent_categories_", None)
    rare_here = 0 if rare is None or rare[place] is None else len(rare[place])
    dropped = step.drop_idx_ is not None and step.drop_idx_[place] is not None
    return len(step.categories_[place]) - rare_here + (rare_here > 0) - dropped


def _side_by_side(step: Any, count: int) -> Ints:
    """Return of which column each one is that a ColumnTransformer makes."""
    names = list(getattr(step, "feature_names_in_", ()))
    outputs = max(part.stop or 0 for part in step.output_indices_.values())
    found = np.full(outputs, -1)
    for name, one, chosen in step.transformers_:
        part = step.output_indices_[name]
        if part.start == part.stop:  # dropped, or of no column
            continue
        taken = _places(chosen, names, count)
        own = taken[columns_of(one, len(taken))]
        if len(own) != part.stop - part.start:
            raise _mixes(one)
        found[part] = own
    if (found < 0).any():
        raise _mixes(step)
    return found


def _places(chosen: Any, names: Sequence[str], count: int) -> Ints:
    """Return the places of columns as a ColumnTransformer names them."""
    listed: Any = [chosen] if isinstance(chosen, str) else chosen
    if not isinstance(listed, slice) and all(isinstance(one, str) for one in listed):
        return np.array([names.index(one) for one in listed], dtype=np.int64)
    places: Ints = np.atleast_1d(np.arange(count)[listed])
    return places


def _mixes(step: Any) -> Unexplained:
    return Unexplained(
        f"has the step {type(step).__name__} before its model, which may mix features"
    )
