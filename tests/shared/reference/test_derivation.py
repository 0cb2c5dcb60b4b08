"""Columns that are derived from all numeric features of a row together."""

import math

import msgspec
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from driftgauge.shared.arrays import Floats
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.derivation import BLOCK, FURTHEST, SHARE, SHOWN, Derivation
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema

X = Feature("x", "numeric")
Y = Feature("y", "numeric", nullable=True)
PAIR = Derivation(("x", "y"), (0.0, 0.0), (1.0, 1.0), ((0.6, 0.8),))


def rows_of(count: int, features: int, seed: int = 0) -> Floats:
    """Rows of features that go together, of which some values are missing."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(count, max(features // 3, 1)))
    rows = hidden @ random.normal(size=(hidden.shape[1], features))
    rows = 10 * rows + random.normal(size=rows.shape) + random.normal(100, 50, size=features)
    rows[random.random(rows.shape) < 0.03] = np.nan
    return rows


def fitted(rows: Floats) -> Derivation:
    return Derivation.fit([f"x{place}" for place in range(rows.shape[1])], list(rows.T))


@pytest.mark.parametrize("features", [2, 5, 18])
def test_the_columns_are_those_of_scikit_learn(features: int) -> None:
    """Imputed by the mean, standardised and analysed by scikit-learn, the same rows have the same
    components, and later rows the same reconstruction errors.
    """
    known, later = rows_of(3000, features), rows_of(500, features, seed=1)
    found = fitted(known)
    peer = make_pipeline(SimpleImputer(), StandardScaler(), PCA(SHARE, svd_solver="full"))
    peer.fit(known)
    standard, analysis = peer[:-1].transform(later), peer[-1]
    held = analysis.transform(standard)
    error = np.linalg.norm(standard - analysis.inverse_transform(held), axis=1)
    assert len(found.components) == analysis.n_components_ < features
    columns = found.of_columns(list(later.T))
    assert columns[0] == pytest.approx(error, abs=1e-5)
    for column, theirs in zip(columns[1:], held.T, strict=False):
        sign = np.sign(column @ theirs)  # a vector and its negative are one component
        assert column == pytest.approx(sign * theirs, abs=1e-5)
    assert len(columns) == len(found.names) == len(found.titles)
    assert len(columns) == 1 + min(SHOWN, analysis.n_components_)


def test_a_row_has_the_same_values_alone_and_in_a_list() -> None:
    """So that no row falls beside a value of the reference that it is equal to."""
    rows = rows_of(300, 18)
    found, places = fitted(rows), tuple(range(18))
    lists = [[None if math.isnan(value) else value for value in row] for row in rows.tolist()]
    many = found.of_rows(lists, places)
    assert [found.of_rows([row], places)[0] for row in lists] == many
    assert np.array(many).T.tolist() == [one.tolist() for one in found.of_columns(list(rows.T))]


def test_blocks_of_many_rows_are_one_analysis() -> None:
    """A reference that is larger than a block has the correlations of all its rows."""
    rows = rows_of(BLOCK + 1000, 3)
    found = fitted(rows)
    standard = SimpleImputer().fit_transform(rows)
    vectors = np.linalg.eigh(np.corrcoef(standard.T))[1]
    assert np.abs(np.array(found.components[0])) == pytest.approx(np.abs(vectors[:, -1]), abs=1e-6)
    assert len(found.of_columns(list(rows.T))[0]) == len(rows)


def test_extreme_values_stay_numbers() -> None:
    """A value that no square can be taken of is cut, so that each event is valid JSON."""
    largest = np.finfo(float).max
    (row,) = PAIR.of_rows([[largest, -largest]], (0, 1))
    assert row == pytest.approx([1.4 * FURTHEST, -0.2 * FURTHEST])
    found = Derivation.fit(("x", "y"), [np.array([largest, -largest, 0.0]), np.arange(3.0)])
    assert np.isfinite(found.of_columns([np.array([-largest]), np.array([1.0])])).all()


def test_what_does_not_vary_is_left_out() -> None:
    """A constant feature, and one that is always missing, tell nothing of others."""
    moving = np.arange(10.0)
    columns = [np.full(10, 0.1), moving, np.full(10, np.nan), -moving]
    assert Derivation.fit("abcd", columns).features == ("b", "d")
    with pytest.raises(BadData, match="at least two numeric features"):
        Derivation.fit("abc", columns[:3])


def test_a_schema_with_a_derivation_is_read_as_it_was_written() -> None:
    """The analysis is plain numbers in the version's schema; a schema without one has no trace of
    it.
    """
    schema = Schema((X, Y, Feature("c", "categorical")), derivation=PAIR)
    assert msgspec.json.decode(msgspec.json.encode(schema), type=Schema) == schema
    plain = msgspec.structs.replace(schema, derivation=None)
    assert b"deriv" not in msgspec.json.encode(plain)
    assert plain.completing(None)([1.0, 2.0, "a"]) == [1.0, 2.0, "a"]
    assert plain.stream is plain


def test_events_have_the_derived_columns_behind_the_published_features() -> None:
    """They are numeric columns of the stream, and no fields of a request; of personal features
    nothing is derived, and a missing value is the mean.
    """
    email = Feature("email", "categorical")
    schema = Schema((email, X, Y), derivation=PAIR)
    stream = schema.stream
    assert stream.names == ("x", "y", "reconstruction_error", "component_1")
    assert stream.stream is stream
    assert [one.judged_as for one in stream.features[2:]] == list(PAIR.titles)
    assert schema.completing(None)(["a@b.c", 2.0, None]) == [2.0, None, 1.6, 1.2]
    fault = schema.positional({"email": "e", "x": 1, "y": 1, "component_1": 1})[1]
    assert [(one.field, one.reason) for one in fault] == [
        ("/features/component_1", "unknown_field")
    ]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ((X,), "`derivation` is of y, which is no numeric feature"),
        ((X, Feature("y", "numeric", pii="hash")), "is of y"),
        ((X, Feature("y", "numeric", excluded="a clock")), "is of y"),
        ((X, Y, Feature("component_1", "numeric")), "named component_1 with --multivariate"),
    ],
)
def test_a_derivation_of_other_features_is_refused(
    features: tuple[Feature, ...], message: str
) -> None:
    """The message says which features are at fault, and what to do."""
    with pytest.raises(BadData, match=message):
        Schema(features, derivation=PAIR)


@pytest.mark.parametrize(
    "change",
    [{"means": (0.0,)}, {"components": ()}, {"scales": (1.0, 0.0)}, {"components": ((1.0,),)}],
)
def test_a_derivation_that_is_none_is_refused(change: dict[str, object]) -> None:
    """A file that was edited by hand cannot make an API that fails at each row."""
    with pytest.raises(BadData, match="register with --multivariate"):
        msgspec.structs.replace(PAIR, **change)
