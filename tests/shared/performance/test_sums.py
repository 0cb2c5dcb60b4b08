"""Performance sums: what panes, partitions and corrections rely on."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.shared.performance import Layout, Sums
from driftgauge.shared.performance.layout import score_bins
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    NumericReference,
    ReferenceProfile,
)
from driftgauge.shared.reference.schema import Schema

NUMBERS = Layout("numeric")
BINARY = Layout("categorical", ("no", "yes"), scored=True)
THREE = Layout("categorical", ("a", "b", "c"), scored=True)
finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def rows(draw: Any, layout: Layout) -> tuple[Any, Any, Any]:
    """Draw joined rows of a layout, some without probabilities, some of unknown classes."""
    size = draw(st.integers(0, 12))
    if layout.kind == "numeric":
        made = st.lists(finite, min_size=size, max_size=size)
        return np.array(draw(made), np.float64), np.array(draw(made), np.float64), None
    names = st.lists(
        st.sampled_from([*layout.classes, "new", "other"]), min_size=size, max_size=size
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    probabilities = rng.dirichlet(np.ones(len(layout.classes)), size)
    probabilities[rng.random(size) < 0.2] = np.nan
    return draw(names), draw(names), probabilities


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([NUMBERS, BINARY, THREE]))
def test_sums_are_a_group(data: Any, layout: Layout) -> None:
    """Merging is associative, taking away undoes adding, and packing changes nothing: to the last
    bit.
    """
    one, two, three = (Sums.of(layout, *data.draw(rows(layout))) for _ in range(3))
    assert (one + two) + three == three + (two + one)
    assert one + two - two == one
    assert Sums.unpack((one - two).pack()) == one - two
    assert (one + two).pack() == (two + one).pack()


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([NUMBERS, BINARY, THREE]))
def test_the_sums_of_parts_are_the_sums_of_all(data: Any, layout: Layout) -> None:
    """How rows were cut into panes and batches does not change a bit of the window's sums."""
    predictions, labels, probabilities = data.draw(rows(layout))
    cut = data.draw(st.integers(0, len(labels)))
    left, right = (
        Sums.of(
            layout,
            predictions[part],
            labels[part],
            None if probabilities is None else probabilities[part],
        )
        for part in (slice(0, cut), slice(cut, None))
    )
    assert left + right == Sums.of(layout, predictions, labels, probabilities)


def test_unknown_classes_are_other() -> None:
    """A class that the model does not know is counted as OTHER; two different ones are no hit."""
    sums = Sums.of(BINARY, ["yes", "new", "new"], ["no", "new", "else"])
    assert sums.matrix.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 2]]
    assert sums.count("other_wrong").tolist() == [1]
    assert sums.rows == 3


def test_sums_of_one_label_are_small() -> None:
    """A late label costs about a hundred bytes in the panes, though its layout has hundreds of
    counts.
    """
    assert len(Sums.of(BINARY, ["yes"], ["no"], np.array([[0.25, 0.75]])).pack()) < 220
    assert len(Sums.of(NUMBERS, np.array([1.5]), np.array([1.25])).pack()) < 120


def test_layouts_follow_schema_and_reference() -> None:
    """Classes are the declared ones, else the predictions of the reference; without a prediction
    nothing is summed.
    """
    x = Feature("x", "numeric")
    numeric = NumericReference.build("x", np.arange(3.0))
    profile = ReferenceProfile(
        3, (numeric, CategoricalReference.build("prediction", ["b", "a", "b"]))
    )
    assert Layout.of(Schema((x,), "categorical", classes=("u", "v")), profile) == Layout(
        "categorical", ("u", "v"), scored=True
    )
    assert Layout.of(Schema((x,), "categorical"), profile) == Layout("categorical", ("a", "b"))
    assert Layout.of(Schema((x,), None), profile) is None
    assert Layout.of(Schema((x,), "numeric"), profile) == NUMBERS


@pytest.mark.parametrize("bins", [256])
def test_score_bins_are_ordered_and_dense_at_the_ends(bins: int) -> None:
    """A larger score never has a lower bin, and scores near 0 are told apart to about 1/27,000."""
    scores = np.sort(np.random.default_rng(0).random(5000) ** 4)
    found = score_bins(scores)
    assert (np.diff(found) >= 0).all()
    assert score_bins(np.array([0.0, 1.0])).tolist() == [0, bins - 1]
    assert score_bins(np.array([3.0e-5, 5.0e-5])).tolist() == [0, 1]
