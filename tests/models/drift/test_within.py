"""Drifts of one segment."""

import msgspec
import numpy as np
import pandas as pd
import pytest

from driftgauge.models.common.perturbations import perturbed
from driftgauge.models.drift.injection import InjectionTarget
from driftgauge.models.drift.plan import DRIFT_KINDS, DriftKind
from driftgauge.models.drift.verdict import FiredAlert, verdict
from driftgauge.models.drift.within import injection_within
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import rows_of
from tests.models.drift.builders import SCHEMA, Coins

PARTED = msgspec.structs.replace(SCHEMA, segments=("c",))
WITHIN = [kind for kind in DRIFT_KINDS if kind != "label_imbalance"]


def target(schema: object = PARTED) -> InjectionTarget:
    return InjectionTarget(schema, Coins().labelled(4000), "x")  # type: ignore[arg-type]  # a schema


@pytest.mark.parametrize("kind", WITHIN)
def test_rows_of_other_segments_stay_as_they_are(kind: DriftKind) -> None:
    """A drift of one segment changes some of its rows, none of the others', and the order of none;
    all fit the schema.
    """
    rows = Coins(2).labelled(4000)
    if kind == "new_category":
        with pytest.raises(
            BadData, match="cannot be simulated"
        ):  # its only open category is the segment itself
            injection_within("c=r", kind, target(), 0.3)
        return
    after = perturbed(
        injection_within("c=r", kind, target(), 0.3).perturbations(1.0),
        rows,
        np.random.default_rng(0),
    )
    other = (rows.features["c"] == "g").to_numpy()
    pd.testing.assert_frame_equal(after.features[other], rows.features[other], check_dtype=False)
    assert (after.labels[other] == rows.labels[other]).all()
    assert (after.features["c"] == rows.features["c"]).all()
    own = after.features[~other].equals(rows.features[~other])
    assert not (own and (after.labels == rows.labels).all())
    assert not [
        fault for row in rows_of(after.features, PARTED) for fault in PARTED.positional(row)[1]
    ]


def test_the_intensity_is_measured_within_the_segment() -> None:
    """Missing values of .4 are .4 of the segment's, within sampling error."""
    found = injection_within("c=r", "missing_values", target(), 0.4)
    rows = Coins(2).labelled(4000)
    after = perturbed(found.perturbations(1.0), rows, np.random.default_rng(0)).features
    assert after[after["c"] == "r"]["x"].isna().mean() == pytest.approx(0.4, abs=0.05)
    assert not after[after["c"] == "g"]["x"].isna().any()


def test_only_an_alert_of_the_segment_meets_the_expectation() -> None:
    """An alert over all rows, or of another segment, does not say where the drift is."""
    expected = injection_within("c=r", "concept", target(), 0.3).expected
    alerts = [
        FiredAlert("", "performance.accuracy", "critical", 110, ""),
        FiredAlert("", "segment.performance", "critical", 120, "", "c=g"),
        FiredAlert("", "segment.performance", "critical", 130, "", "c=r"),
    ]
    assert [one.after for one in verdict(alerts, 100, expected).met] == [30]
    assert not verdict(alerts[:2], 100, expected).found


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("closed=a", "concept", "features that this model has segments of: c"),
        ("c", "concept", "write FEATURE=VALUE"),
        ("c=blue", "concept", "0 of 4,000 simulated rows are of c=blue"),
        ("c=r", "label_imbalance", "choose another drift"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_posted(
    text: str, kind: DriftKind, message: str
) -> None:
    """Said with what is wrong, and what there is."""
    with pytest.raises(BadData, match=message):
        injection_within(text, kind, target(), 0.3)
