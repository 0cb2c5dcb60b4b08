"""A schema, and the check of values against it."""

import re

import pytest

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import MAX_CATEGORY, Feature
from driftgauge.shared.reference.schema import Schema

SCHEMA = Schema(
    (
        Feature("age", "numeric", minimum=0, maximum=120),
        Feature("income", "numeric", nullable=True),
        Feature("job/kind~1", "categorical", categories=("a", "b")),
        Feature("note", "categorical", nullable=True),
    )
)
GOOD = {"age": 30, "income": 1.5, "job/kind~1": "a", "note": None}


def test_good_values_come_out_in_stream_order() -> None:
    """Values are positional, numbers are floats, and an absent nullable feature is missing."""
    assert SCHEMA.positional({"job/kind~1": "b", "age": 30}) == ([30.0, None, "b", None], [])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("age", None, "is missing"),
        ("age", -1, "below the declared minimum 0"),
        ("age", 121, "above the declared maximum 120"),
        ("age", "30", "must be a number, not a string"),
        ("age", True, "must be a number, not a boolean"),
        ("age", [1], "must be a number, not a list"),
        ("age", {}, "must be a number, not an object"),
        ("income", float("nan"), "must be a finite number"),
        ("income", float("inf"), "must be a finite number"),
        ("income", 10**400, "too large"),
        ("job/kind~1", "c", "not one of the declared categories: a, b"),
        ("job/kind~1", 3, "not one of the declared categories: a, b"),
        ("job/kind~1", [3], "must be a string, not a list"),
        ("note", float("nan"), "must be a string, not a number"),
        ("note", "x" * (MAX_CATEGORY + 1), f"longer than {MAX_CATEGORY}"),
        ("extra", 1, "is not a feature of this model"),
    ],
)
def test_every_fault_is_named_with_its_pointer(field: str, value: object, message: str) -> None:
    """A refused value is named by a JSON pointer (RFC 6901), with what is wrong with it."""
    _, errors = SCHEMA.positional({**GOOD, field: value}, at="/rows/3")
    assert [error.field for error in errors] == [
        "/rows/3/" + field.replace("~", "~0").replace("/", "~1")
    ]
    assert message in errors[0].message


def test_all_faults_are_told_at_once() -> None:
    """A client need not find its faults one by one."""
    _, errors = SCHEMA.positional({"age": -1, "income": "x", "zz": 1})
    assert [error.field for error in errors] == [
        "/features/age",
        "/features/income",
        "/features/job~1kind~01",
        "/features/zz",
    ]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ((), "no features"),
        (("prediction",), "cannot be named 'prediction'"),
        (("a", "b", "a"), "more than once: a"),
    ],
)
def test_an_impossible_schema_is_refused(features: tuple[str, ...], message: str) -> None:
    """No features, a name twice, or the name of the prediction: refused when it is made."""
    with pytest.raises(BadData, match=message):
        Schema(tuple(Feature(name, "numeric") for name in features))


def test_predictions_are_checked_by_their_kind() -> None:
    """A prediction that was made elsewhere must be of the schema's kind."""
    assert SCHEMA.read_prediction(1) == (1.0, None)
    assert "must be a number" in str(SCHEMA.read_prediction("yes")[1])
    without = Schema(SCHEMA.features, prediction=None)
    assert without.read_prediction(None) == (None, None)
    assert "no prediction" in str(without.read_prediction(1.0)[1])


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (("age",), "'age' cannot be a segment: it is numeric"),
        (("city",), "'city' cannot be a segment: it is not among the features"),
        (("email",), "'email' cannot be a segment: it is dropped as personal"),
        (("note", "note"), "Name up to 3 different features as segments, not note, note"),
        (("note", "job/kind~1", "customer", "plan"), "Name up to 3 different features"),
    ],
)
def test_segments_that_no_event_can_be_parted_by_are_refused(
    segments: tuple[str, ...], message: str
) -> None:
    """A schema with such segments is refused when it is made, with the feature and what is wrong
    with it.
    """
    more = (
        Feature("email", "categorical"),
        Feature("customer", "numeric", pii="hash"),
        Feature("plan", "categorical"),
    )
    with pytest.raises(BadData, match=re.escape(message)):
        Schema((*SCHEMA.features, *more), segments=segments)


def test_a_hashed_number_can_be_a_segment() -> None:
    """What is published of a hashed feature is a category, so it can part rows; the stream has the
    same segments.
    """
    schema = Schema(
        (Feature("customer", "numeric", pii="hash"), *SCHEMA.features), segments=("customer",)
    )
    assert schema.stream.segments == ("customer",)
