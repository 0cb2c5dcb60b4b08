"""Building a reference profile, segments included, from the columns of the reference rows."""

from collections.abc import Sequence

import msgspec
import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.reference.profile import (
    PREDICTION,
    CategoricalReference,
    Column,
    NumericReference,
    ReferenceProfile,
)
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.reference.segments import SegmentLayout
from driftgauge.shared.reference.times import aged
from driftgauge.shared.steps import At, silent, steps
from driftgauge.shared.tables.format import TimeFormat


def counted(schema: Schema, columns: Sequence[Column], events_ms: Floats | None) -> list[Column]:
    """Return columns as they are counted: of a time, its age when the event happened.

    Parameters
    ----------
    columns
        The column of each feature of the schema's stream in its order, and any behind them.
    events_ms
        When each event happened, in Unix milliseconds; None if that is not known, so that ages are
        missing.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.shared.reference.feature import Feature
    >>> schema = Schema((Feature("since", "timestamp"),))
    >>> counted(schema, [np.array([1000.0])], np.array([61_000.0]))[0].tolist()
    [60.0]
    """
    found = list(columns)
    for place in schema.stream.timed:
        feature = schema.stream.features[place]
        values = np.asarray(columns[place], dtype=np.float64)
        events = np.full(len(values), np.nan) if events_ms is None else events_ms
        found[place] = aged(values, events, feature.time or TimeFormat(), feature.judged)
    return found


def build_profile(
    schema: Schema, columns: list[Column], prediction: Column | None, at: At = silent
) -> ReferenceProfile:
    """Build the profile of reference rows.

    Parameters
    ----------
    columns
        The column of each feature of the schema's stream in its order, as from `columns_of` and
        `counted`.
    prediction
        The prediction of each row; None if there are no predictions.
    at
        Told of each column.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.shared.reference.feature import Feature
    >>> build_profile(Schema((Feature("x", "numeric"),)), [np.array([1.0, 2.0])], None).rows
    2
    """
    features = schema.stream.features
    pairs = [
        (feature.name, feature.counted, values)
        for feature, values in zip(features, columns, strict=True)
    ]
    if schema.prediction is not None and prediction is not None:
        pairs.append((PREDICTION, schema.prediction, prediction))
    built = tuple(
        NumericReference.build(name, values)
        if kind == "numeric"
        else CategoricalReference.build(name, values)
        for name, kind, values in steps("making the profile", pairs, at)
    )
    profile = ReferenceProfile(rows=len(columns[0]), columns=built)
    if not schema.segments:
        return profile
    layout = SegmentLayout.planned(profile, schema.segments)
    counts = layout.counts(profile.cells([values for _, _, values in pairs]))
    return msgspec.structs.replace(profile, segments=layout.reference(counts))
