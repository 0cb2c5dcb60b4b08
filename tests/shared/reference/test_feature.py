"""Single values: what a request's value becomes in the log."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from driftgauge.shared.reference.feature import Feature, FeatureKind
from driftgauge.shared.reference.frames import as_column, columns_of, json_values
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.tables.format import TableFormat, TimeFormat


@pytest.mark.parametrize(
    ("kind", "values", "read"),
    [
        ("categorical", (3, 3.0, "3"), "3"),
        ("categorical", (True, "True"), "True"),
        ("categorical", ("007",), "007"),
        ("categorical", ("3.0",), "3.0"),
        ("boolean", (True, "true", "True", "TRUE ", 1, 1.0, "1"), 1.0),
        ("boolean", (False, "false", 0, "no"), 0.0),
        ("numeric", (2, 2.0), 2.0),
        ("timestamp", ("1970-01-02", "1970-01-02T01:00+01:00", 86_400_000), 86_400_000.0),
    ],
)
def test_a_value_is_the_same_however_it_is_written(
    kind: FeatureKind, values: tuple[Any, ...], read: object
) -> None:
    """JSON's number, text and boolean of one value are one value of the log, and so is the cell of
    a data frame.
    """
    feature = Feature("x", kind)
    assert [feature.read(value) for value in values] == [(read, None)] * len(values)
    column = as_column(pd.Series(values, dtype=object), feature)
    assert json_values(column) == [read] * len(values)


@pytest.mark.parametrize(
    ("kind", "value", "fault"),
    [
        ("numeric", "2", "must be a number, not a string"),
        ("numeric", True, "must be a number, not a boolean"),
        ("boolean", 2, "must be true or false"),
        ("boolean", "maybe", "must be true or false"),
        ("timestamp", "yesterday", "must be a time such as"),
        ("timestamp", [1], "must be a time as a number of ms"),
        ("categorical", [1], "must be a string, not a list"),
        ("categorical", math.inf, "must be a string, not a number"),
    ],
)
def test_what_is_of_another_kind_is_refused(kind: FeatureKind, value: object, fault: str) -> None:
    """Nothing is guessed into a kind."""
    found, said = Feature("x", kind).read(value)
    assert found is None
    assert fault in str(said)


def test_numbers_as_text_are_taken_as_the_schema_says() -> None:
    """A JSON text is a number only if the schema takes it, in its own notation; a CSV cell always
    may be.
    """
    strict = Schema((Feature("x", "numeric"),), None, table=TableFormat(decimal=","))
    taking = Schema(strict.features, None, table=strict.table, text_numbers="take")
    assert strict.positional({"x": "1,5"})[1][0].message == "must be a number, not a string"
    assert strict.positional({"x": "1,5"}, texts=True) == ([1.5], [])
    assert taking.positional({"x": "1,5"}) == ([1.5], [])
    assert taking.positional({"x": "1.5"})[1]


@pytest.mark.parametrize("value", [None, "", " ", "?", "NA", math.nan, -math.inf])
@pytest.mark.parametrize("kind", ["numeric", "categorical", "boolean", "timestamp"])
def test_missing_is_what_the_schema_says(kind: FeatureKind, value: object) -> None:
    """null, the empty text and every mark are one missing value, of a feature or of all; NaN and
    infinities are, where their marks are named.
    """
    table = TableFormat(missing=("NA", "NaN"))
    features = (Feature("x", kind, nullable=True, marks=("?", "-Infinity")),)
    assert Schema(features, None, table=table).positional({"x": value}) == ([None], [])
    known = Schema((Feature("x", kind, marks=("?", "-Infinity")),), None, table=table)
    (fault,) = known.positional({"x": value})[1]
    assert (fault.message, fault.reason) == (
        "is missing, and the schema does not allow that",
        "missing",
    )


def test_codes_of_a_model_are_numbers() -> None:
    """Where a model was fitted on numbers as categories, however one is written it is one category,
    and a text that is none is refused; for a model that is only monitored it is a new category.
    """
    code = Feature("code", "categorical", dtype="float64")
    assert {code.read(value)[0] for value in (3, "3", "3.0", 3.0)} == {"3"}
    assert "must be a number" in str(code.read("A")[1])
    assert code.read("A", scored=False) == ("A", None)
    assert as_column(pd.Series(["3.0", "4", "A"]), code) == ["3", "4", "A"]


def test_a_long_text_is_cut_where_no_model_gets_it() -> None:
    """What is only watched counts by its beginning, in requests and in the reference alike; a model
    never gets less than what was sent.
    """
    note, long = Feature("note", "categorical"), "x" * 5000
    assert "longer than 1024" in str(note.read(long)[1])
    assert note.read(long, scored=False) == ("x" * 1024, None)
    schema = Schema((note,), None)
    assert columns_of(pd.DataFrame({"note": [long]}), schema) == [["x" * 1024]]


def test_times_are_read_in_their_own_unit_and_format() -> None:
    """A number stays in the column's unit, a text is read by the pattern and zone of the version,
    and by nothing else.
    """
    seconds = Feature("at", "timestamp", time=TimeFormat(unit="s"))
    assert seconds.read(1_760_000_000) == (1.76e9, None)
    assert "number of s since 1970" in str(seconds.read("2025-10-09")[1])
    whole = Feature("day", "timestamp", time=TimeFormat(pattern="%Y%m%d"))
    for either in (pd.Series([19700102, 19700103]), pd.Series(["19700102", "19700103"])):
        assert np.asarray(as_column(either, whole)).tolist() == [86_400_000, 172_800_000]
    assert whole.read(19700102) == whole.read("19700102") == (86_400_000.0, None)
    days = Feature("at", "timestamp", time=TimeFormat(pattern="%d/%m/%Y", timezone="Europe/Rome"))
    assert days.read("02/01/1970") == (82_800_000.0, None)
    assert "as %d/%m/%Y" in str(days.read("1970-01-02")[1])


def test_extra_fields_are_refused_or_ignored() -> None:
    """A field that is no feature is refused, unless the schema ignores it."""
    strict = Schema((Feature("x", "numeric"),))
    assert strict.positional({"x": 1, "y": 2})[1][0].field == "/features/y"
    lenient = Schema(strict.features, extra="ignore")
    assert lenient.positional({"x": 1, "y": [2]}) == ([1.0], [])
    assert lenient.extra_fields({"x": 1, "y": 2}) == ["y"]


@pytest.mark.parametrize(
    ("classes", "values", "known"),
    [
        (("0", "1"), (1, 1.0, "1", "1.0", True, "true", "True"), "1"),
        (("False", "True"), (True, "true", 1, 1.0, "1"), "True"),
        (("no", "yes"), ("yes", " yes"), "yes"),
        (("1", "2", "10"), (10, 10.0, "10"), "10"),
    ],
)
def test_a_class_is_one_however_it_is_written(
    classes: tuple[str, ...], values: tuple[object, ...], known: str
) -> None:
    """Predictions and labels are the schema's classes, whether a client sends numbers, booleans or
    texts.
    """
    schema = Schema((Feature("x", "numeric"),), "categorical", classes=classes)
    for value in values:
        assert schema.read_prediction(value) == schema.read_label(value) == (known, None)


def test_classes_that_mean_the_same_stay_apart() -> None:
    """Where two classes would be one, only their own texts name them."""
    schema = Schema((Feature("x", "numeric"),), "categorical", classes=("1", "True"))
    assert schema.read_label("1")[0] == "1"
    assert schema.read_label("True")[0] == "True"
