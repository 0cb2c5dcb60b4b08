"""Sums by segment: scikit-learn's metrics of each group, and the algebra that panes and corrections
rely on.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance import Layout, Measures, PerformanceReference
from driftgauge.shared.performance.measures import LARGEST, STEPS
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.reference.segments import SegmentLayout
from tests.places import DATA

CREDIT = DATA / "credit_default.csv"
NUMBERS = Layout("numeric")
CLASSES = Layout("categorical", ("a", "b", "c"))
MANY = Layout("categorical", tuple(f"class{number}" for number in range(30)))
SEGMENTS = 7
seeds = st.integers(0, 2**32)
units = st.sampled_from([2.0**-30, 0.25, 1.0, 2.0**20])


def drawn(layout: Layout, seed: int, rows: int, unit: float = 1.0) -> tuple[Any, Any, Ints]:
    """Draw predictions, labels, and the segments of two features with 4 and 3 of them."""
    random = np.random.default_rng(seed)
    codes = np.array([random.integers(0, 4, rows), random.integers(4, 7, rows)])
    if layout.kind == "numeric":
        labels = random.normal(0, 5 * unit, rows)
        return labels + random.standard_t(3, rows) * unit, labels, codes
    names = np.array([*layout.classes, "new", "newer"], dtype=object)
    truth = random.integers(0, len(names), rows)
    said = np.where(random.random(rows) < 0.6, truth, random.integers(0, len(names), rows))
    return names[said].tolist(), names[truth].tolist(), codes


def chosen(values: Any, rows: Ints) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]


def groups(codes: Ints) -> list[tuple[int, Ints]]:
    """Return the rows of each segment that has some."""
    found = [
        (segment, np.flatnonzero((codes == segment).any(axis=0))) for segment in range(SEGMENTS)
    ]
    return [(segment, rows) for segment, rows in found if len(rows)]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([NUMBERS, CLASSES, MANY]), seeds, st.integers(0, 60), st.integers(0, 60))
def test_sums_add_and_a_correction_takes_away_exactly(
    layout: Layout, seed: int, first: int, rest: int
) -> None:
    """Sums of parts add up to those of all; taking rows with their old labels away and adding them
    with the new ones gives what the new labels alone would have given. All of it to the last
    number.
    """
    measures = Measures(layout, 0.5 if layout.kind == "numeric" else 1.0)
    said, truth, codes = drawn(layout, seed, first + rest)
    every = np.arange(first + rest)
    cut = (every[:first], every[first:])
    parts = [
        measures.of(chosen(said, rows), chosen(truth, rows), codes[:, rows], SEGMENTS)
        for rows in cut
    ]
    whole = measures.of(said, truth, codes, SEGMENTS)
    assert (parts[0] + parts[1]).tolist() == whole.tolist()
    _, corrected, _ = drawn(layout, seed + 1, first)
    head = every[:first]
    added = measures.of(chosen(said, head), corrected, codes[:, head], SEGMENTS)
    expected = measures.of(said, [*corrected, *chosen(truth, every[first:])], codes, SEGMENTS)
    assert (whole - parts[0] + added).tolist() == expected.tolist()


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 200), units)
def test_errors_of_numbers_are_scikit_learns(seed: int, rows: int, unit: float) -> None:
    """Rows, MAE and mean squared error of each segment, within half a step of a unit and of its
    square.
    """
    measures = Measures(NUMBERS, unit)
    said, truth, codes = drawn(NUMBERS, seed, rows, unit)
    found = measures.of(said, truth, codes, SEGMENTS).reshape(SEGMENTS, -1)
    assert found[:, 0].sum() == 2 * rows
    for segment, own in groups(codes):
        count, errors, squares = found[segment].tolist()
        assert count == len(own)
        exact = {"rel": 1e-12, "abs": 0.5001 * unit / STEPS}
        assert errors / count * unit / STEPS == pytest.approx(
            sk.mean_absolute_error(truth[own], said[own]), **exact
        )
        exact = {"rel": 1e-12, "abs": 0.5001 * unit**2 / STEPS}
        assert squares / count * unit**2 / STEPS == pytest.approx(
            sk.mean_squared_error(truth[own], said[own]), **exact
        )


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 200))
def test_classes_are_scikit_learns(seed: int, rows: int) -> None:
    """Accuracy of each segment, also with unknown classes that differ; precision and recall of each
    class follow.
    """
    measures = Measures(CLASSES, 1.0)
    said, truth, codes = drawn(CLASSES, seed, rows)
    found = measures.of(said, truth, codes, SEGMENTS).reshape(SEGMENTS, -1)
    for segment, own in groups(codes):
        count, wrong = found[segment, :2].tolist()
        true, predicted, both = found[segment, 2:].reshape(3, CLASSES.side)
        known, given = chosen(truth, own), chosen(said, own)
        assert (count, 1 - wrong / count) == (
            len(own),
            pytest.approx(sk.accuracy_score(known, given)),
        )
        assert (true.sum(), predicted.sum(), both.sum()) == (count, count, count - wrong)
        precision, recall, _, support = sk.precision_recall_fscore_support(
            known, given, labels=CLASSES.classes, zero_division=0.0
        )
        assert true[:3].tolist() == support.tolist()
        assert both[:3] / np.maximum(predicted[:3], 1) == pytest.approx(precision)
        assert both[:3] / np.maximum(true[:3], 1) == pytest.approx(recall)


def test_of_many_classes_only_the_accuracy_is_known() -> None:
    """With more than 20 classes a segment has two numbers, and they are right."""
    said, truth, codes = drawn(MANY, 5, 300)
    found = Measures(MANY, 1.0).of(said, truth, codes, SEGMENTS).reshape(SEGMENTS, 2)
    for segment, own in groups(codes):
        assert found[segment].tolist() == [len(own), sum(said[row] != truth[row] for row in own)]


def test_an_absurd_error_is_a_large_one_and_warns_of_nothing() -> None:
    """A difference that is infinite, or too large for any sum, counts as the largest error: no
    overflow, no warning.
    """
    largest = np.finfo(float).max
    said, truth = np.array([largest, -largest, 1e300, 0.5]), np.array([-largest, largest, 0.0, 0.0])
    for unit in (1.0, 2.0**-1000):
        found = (
            Measures(NUMBERS, unit)
            .of(said[:3], truth[:3], np.zeros((1, 3), dtype=np.int64), 1)
            .tolist()
        )
        assert found == [3, 3 * int(LARGEST) * STEPS, 3 * int(LARGEST) ** 2 * STEPS]
    assert (2**25 - 1) * int(LARGEST) ** 2 * STEPS < 2**63


def test_the_unit_is_near_the_mean_error_of_the_reference() -> None:
    """A power of two within a factor of two, at any scale; without labelled rows it comes of the
    predictions' range.
    """
    random = np.random.default_rng(0)
    schema = Schema((Feature("x", "numeric"),))
    for scale in (1e-200, 1.0, 3e200):
        predictions = random.normal(0, scale, 500)
        profile = build_profile(schema, [random.normal(size=500)], predictions)
        labels = predictions + random.normal(0, scale / 10, 500)
        performance = PerformanceReference.of(NUMBERS, predictions, labels)
        unit = Measures.of_version(NUMBERS, profile, performance.mean_error).unit
        assert (
            unit <= sk.mean_absolute_error(labels / scale, predictions / scale) * scale < 2 * unit
        )
        bare = Measures.of_version(NUMBERS, profile, None).unit
        assert bare <= np.ptp(predictions / scale) / 16 * scale < 2 * bare


def _credit() -> tuple[list[Any], Floats, list[str], list[str], Schema]:
    """Return columns, scores, predictions and labels of the credit file: who was late last month is
    said to default.
    """
    frame = pd.read_csv(CREDIT)
    features = (
        Feature("SEX", "categorical"),
        Feature("EDUCATION", "categorical"),
        Feature("AGE", "numeric"),
    )
    schema = Schema(features, "categorical", classes=("0", "1"), segments=("SEX", "EDUCATION"))
    columns = [
        frame["SEX"].astype(str).tolist(),
        frame["EDUCATION"].astype(str).tolist(),
        frame["AGE"].to_numpy(float),
    ]
    late = (frame["PAY_0"] > 0).to_numpy(dtype=float)
    said = np.where(late > 0, "1", "0").tolist()
    return (
        columns,
        np.column_stack([1 - late, late]),
        said,
        frame["default.payment.next.month"].astype(str).tolist(),
        schema,
    )


@pytest.mark.skipif(not CREDIT.exists(), reason=f"the UCI credit-default file is not at {CREDIT}")
def test_the_reference_of_real_rows_has_the_accuracy_of_each_group() -> None:
    """The labelled reference rows of a version, by sex and education, are what scikit-learn
    measures per pandas group; rows without a label are in no sum.
    """
    columns, scores, said, truth, schema = _credit()
    labels = [None if row % 10 == 0 else label for row, label in enumerate(truth)]
    profile = build_profile(schema, columns, said)
    found = PerformanceReference.of_version(schema, profile, [*columns, said], labels, scores)
    layout = SegmentLayout.of(profile)
    assert found is not None
    assert layout is not None
    sums = np.array(found.segments).reshape(layout.size, -1)
    frame = pd.DataFrame(
        {"SEX": columns[0], "EDUCATION": columns[1], "said": said, "label": labels}
    ).dropna()
    seen = 0
    for segment in range(layout.size):
        feature, value = layout.name(segment)
        own = frame[frame[feature] == value]
        assert sums[segment, 0] == len(own)
        if len(own):
            assert 1 - sums[segment, 1] / len(own) == pytest.approx(
                sk.accuracy_score(own["label"], own["said"])
            )
            seen += 1
    assert seen == frame["SEX"].nunique() + frame["EDUCATION"].nunique()
    assert found.rows == len(frame)


def test_a_version_that_predicts_nothing_has_no_performance() -> None:
    """Nor has one without a label; one without segments has no sums by segment."""
    schema = Schema((Feature("c", "categorical"),), segments=("c",))
    values, said = ["a", "b", "a"], np.array([1.0, 2.0, 3.0])
    bare = build_profile(schema, [values], None)
    assert PerformanceReference.of_version(schema, bare, [values], said) is None
    profile = build_profile(schema, [values], said)
    assert (
        PerformanceReference.of_version(schema, profile, [values, said], np.full(3, np.nan)) is None
    )
    plain = Schema(schema.features)
    found = PerformanceReference.of_version(
        plain, build_profile(plain, [values], said), [values, said], said
    )
    assert found is not None
    assert found.segments == []
