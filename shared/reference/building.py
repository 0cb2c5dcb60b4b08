"""Building a reference profile, segments included, from the columns of the reference rows."""

import msgspec

from driftgauge.shared.reference.profile import (
    PREDICTION,
    CategoricalReference,
    Column,
    NumericReference,
    ReferenceProfile,
)
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.reference.segments import SegmentLayout


def build_profile(
    schema: Schema, columns: list[Column], prediction: Column | None
) -> ReferenceProfile:
    """Build the profile of reference rows.

    Parameters
    ----------
    columns
        The column of each feature of the schema's stream in its order, as from `columns_of`.
    prediction
        The prediction of each row; None if there are no predictions.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.shared.reference.feature import Feature
    >>> build_profile(Schema((Feature("x", "numeric"),)), [np.array([1.0, 2.0])], None).rows
    2
    """
    features = schema.stream.features
    pairs = [
        (feature.name, feature.kind, values)
        for feature, values in zip(features, columns, strict=True)
    ]
    if schema.prediction is not None and prediction is not None:
        pairs.append((PREDICTION, schema.prediction, prediction))
    built = tuple(
        NumericReference.build(name, values)
        if kind == "numeric"
        else CategoricalReference.build(name, values)
        for name, kind, values in pairs
    )
    profile = ReferenceProfile(rows=len(columns[0]), columns=built)
    if not schema.segments:
        return profile
    layout = SegmentLayout.planned(profile, schema.segments)
    counts = layout.counts(profile.cells([values for _, _, values in pairs]))
    return msgspec.structs.replace(profile, segments=layout.reference(counts))
