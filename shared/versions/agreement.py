"""Whether a table of rows agrees with a schema: the check of a request
(shared/reference/schema.py), on whole columns at once.

Pure.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import as_column
from driftgauge.shared.reference.schema import MAX_CATEGORY, Feature, Schema


def faults_of(frame: pd.DataFrame, schema: Schema) -> list[str]:
    """Say everything in which rows do not agree with a schema; columns that it does not name are
    passed over.

    Examples
    --------
    >>> schema = Schema((Feature("age", "numeric", minimum=0), Feature("city", "categorical")))
    >>> faults_of(pd.DataFrame({"age": [30, -1, None]}), schema)
    ['age: 1 of 3 rows are missing', 'age: 1 of 3 rows are below the minimum 0', 'city: there is no such column']
    """
    return [
        f"{feature.name}: {fault}"
        for feature in schema.features
        for fault in _faults(frame, feature)
    ]


def _faults(frame: pd.DataFrame, feature: Feature) -> Iterator[str]:
    if feature.name not in frame.columns:
        yield "there is no such column"
        return
    try:
        column = as_column(frame[feature.name], feature.kind)
    except BadData as error:
        yield str(error)
        return
    for what, wrong in _checked(column, feature):
        count = int(np.sum(wrong))
        if count:
            yield f"{count:,} of {len(column):,} rows are {what}"


def _checked(
    column: np.ndarray[Any, Any] | list[Any], feature: Feature
) -> Iterator[tuple[str, Any]]:
    """Give what can be wrong with a value, and for each row whether it is."""
    if isinstance(column, list):
        absent = [value is None for value in column]
        if feature.categories is not None:
            known = {None, *feature.categories}
            yield "none of the declared categories", [value not in known for value in column]
        yield (
            f"longer than {MAX_CATEGORY} characters",
            [value is not None and len(value) > MAX_CATEGORY for value in column],
        )
    else:
        absent = np.isnan(column).tolist()
    if not feature.nullable:
        yield "missing", absent
    if feature.minimum is not None:
        yield f"below the minimum {feature.minimum:g}", np.asarray(column) < feature.minimum
    if feature.maximum is not None:
        yield f"above the maximum {feature.maximum:g}", np.asarray(column) > feature.maximum
