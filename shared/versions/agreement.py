"""The comparison of a table of rows with a schema, column by column.

It applies the same rules to whole columns as the API applies to single requests
(shared/reference/schema.py).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import MAX_CATEGORY, Feature
from driftgauge.shared.reference.frames import as_column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.tables.format import TableFormat


def faults_of(frame: pd.DataFrame, schema: Schema) -> list[str]:
    """List everything in which rows do not fit a schema; columns that it does not name are ignored.

    Examples
    --------
    >>> schema = Schema((Feature("age", "numeric", minimum=0), Feature("city", "categorical")))
    >>> for fault in faults_of(pd.DataFrame({"age": [30, -1, None]}), schema):
    ...     print(fault)
    age: 1 of 3 rows are missing
    age: 1 of 3 rows are below the minimum 0
    city: there is no such column
    """
    return [
        f"{feature.name}: {fault}"
        for feature in schema.features
        for fault in _faults(frame, feature, schema.table)
    ]


def _faults(frame: pd.DataFrame, feature: Feature, table: TableFormat) -> Iterator[str]:
    if feature.name not in frame.columns:
        yield "there is no such column"
        return
    try:
        column = as_column(frame[feature.name], feature, table)
    except BadData as error:
        yield str(error)
        return
    for what, wrong in checked(column, feature):
        count = int(np.sum(wrong))
        if count:
            yield f"{count:,} of {len(column):,} rows are {what}"


def checked(
    column: np.ndarray[Any, Any] | list[Any], feature: Feature
) -> Iterator[tuple[str, Any]]:
    """Yield each possible fault of a value in words, and for each row whether it has the fault."""
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
