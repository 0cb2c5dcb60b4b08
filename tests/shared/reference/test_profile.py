"""The reference profile: cells, bins, and what they keep of the values."""

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.profile import (
    MAX_OTHER,
    MOST_BUCKETS,
    CategoricalReference,
    NumericReference,
    bucket,
)
from driftgauge.shared.reference.schema import Schema
from tests.consumer.builders import cells_by_comparison

numbers = st.one_of(st.integers(-4, 4).map(float), st.floats(-1e300, 1e300), st.just(float("nan")))
columns = st.lists(numbers, min_size=1, max_size=120)


@given(columns, columns, st.sampled_from([2, 5, 256]))
def test_cells_are_what_comparing_with_each_cut_gives(
    reference: list[float], window: list[float], cuts: int
) -> None:
    """Ties, constants, single rows, huge values and columns without any value: every value lands in
    its one cell.
    """
    column = NumericReference.build("x", np.array(reference), cuts)
    assert column.cuts == sorted(set(column.cuts))
    for values, counts in ((reference, column.counts), (window, _counts(column, window))):
        assert counts == cells_by_comparison(
            [None if np.isnan(value) else value for value in values], column
        )
        assert sum(counts) == len(values)
    assert column.counts[0] == column.counts[-2] == 0


def _counts(column: NumericReference, values: list[float]) -> list[int]:
    return np.bincount(column.cells(np.array(values)), minlength=len(column.counts)).tolist()


@given(columns)
def test_many_and_few_values_get_the_same_cells(values: list[float]) -> None:
    """A value's cell does not hang on how many others are searched beside it."""
    column = NumericReference.build("x", np.array(values))
    many = column.cells(np.array(values * 200))
    assert many.tolist() == column.cells(np.array(values)).tolist() * 200


@pytest.mark.parametrize(
    "law", ["normal", "lognormal", "cauchy", "integers", "constant", "two values"]
)
@pytest.mark.parametrize("rows", [1, 9, 11, 400, 5000])
def test_psi_bins_are_unions_of_cells(law: str, rows: int) -> None:
    """The bins' counts, summed from cells, are numpy's on the reference's deciles: PSI loses
    nothing by cells.
    """
    random = np.random.default_rng(rows)
    draw = {
        "normal": lambda n: random.normal(size=n),
        "lognormal": lambda n: random.lognormal(size=n),
        "cauchy": random.standard_cauchy,
        "integers": lambda n: random.integers(0, 6, n).astype(float),
        "constant": lambda n: np.full(n, 3.0),
        "two values": lambda n: (random.random(n) < 0.05).astype(float),
    }[law]
    reference, window = draw(rows), draw(700)
    column = NumericReference.build("x", reference)
    deciles = np.unique(np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf"))
    deciles = deciles[deciles < reference.max()]
    expected = np.bincount(np.digitize(window, deciles, right=True), minlength=len(deciles) + 1)
    bins = np.bincount(column.bin_of_cell, weights=_counts(column, window.tolist()))
    assert bins.tolist() == [*expected.tolist(), 0]


@given(columns)
def test_bins_are_runs_of_cells_and_missing_is_alone(values: list[float]) -> None:
    """A bin is a run of neighbouring cells; MISSING has the last bin for itself."""
    places = NumericReference.build("x", np.array(values)).bin_of_cell
    assert places == sorted(places)
    assert places.count(places[-1]) == 1
    assert len(set(places)) <= 52


def test_what_lies_beside_a_heavy_atom_is_resolved() -> None:
    """Of nine zeros in ten the rest has its deciles as bins, wherever the atom stands, and an atom
    at an end is a bin of its own.
    """
    random = np.random.default_rng(3)
    rest = random.gamma(2, 50, 400)
    for values in (np.append(np.zeros(4600), rest), -np.append(np.zeros(4600), rest)):
        column = NumericReference.build("x", values)
        rows = np.bincount(column.bin_of_cell, weights=column.counts)
        assert sorted(rows.astype(int).tolist()) == [0, *[40] * 10, 4600]
    flags = NumericReference.build("x", (random.random(5000) < 0.95).astype(float))
    assert len(set(flags.bin_of_cell)) == 3


@given(columns)
def test_every_bin_but_missing_has_reference_rows(values: list[float]) -> None:
    """A run of cells that the reference never saw is no bin, so that PSI is not fed by a zero."""
    column = NumericReference.build("x", np.array(values))
    rows = np.bincount(column.bin_of_cell, weights=column.counts)
    assert (rows[:-1] > 0).all() or not column.cuts


def test_tails_are_dense_and_heavy_atoms_have_a_cut() -> None:
    """Every value that holds 1/K of the reference is a cell of its own, and the tails have finer
    cells than the middle.
    """
    random = np.random.default_rng(0)
    values = np.where(random.random(50_000) < 0.01, 0.123, random.normal(size=50_000))
    column = NumericReference.build("x", values)
    assert 0.123 in column.cuts
    between = np.array(column.counts[2:-2:2])
    assert between[:5].max() < between[len(between) // 2 - 5 : len(between) // 2 + 5].min()
    assert len(column.cuts) <= 256 + 9 + 256


@pytest.mark.parametrize(
    "values", [[np.nan] * 5, [1.0], [2.0] * 9, [-1e300, 1e300], [5e-324, 0.0, -5e-324]]
)
def test_degenerate_columns_have_a_profile(values: list[float]) -> None:
    """All missing, one row, a constant, the ends of the scale: mean and deviation are finite, or
    None without values.
    """
    column = NumericReference.build("x", np.array(values))
    if np.isnan(values).all():
        assert (column.mean, column.sd, column.cuts) == (None, None, [])
    else:
        assert column.mean == pytest.approx(np.mean(np.array(values, dtype=np.longdouble)))
        assert column.sd == pytest.approx(float(np.std(np.array(values, dtype=np.longdouble))))
    assert msgspec.json.decode(msgspec.json.encode(column), type=NumericReference) == column


def test_infinities_are_missing() -> None:
    """An infinity in a file of reference rows is no value: it is counted as missing, and makes no
    cut.
    """
    schema = Schema((Feature("x", "numeric"),), prediction=None)
    frame = pd.DataFrame({"x": [1.0, np.inf, -np.inf, np.nan, 2.0]})
    column = build_profile(schema, columns_of(frame, schema), None).columns[0]
    assert isinstance(column, NumericReference)
    assert (column.cuts, column.counts) == ([1.0, 2.0], [0, 1, 0, 1, 0, 3])


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=2)), min_size=1, max_size=80), st.integers(1, 5)
)
def test_categories_are_ranked_and_counted(values: list[str | None], top: int) -> None:
    """The most frequent categories have cells, the others share OTHER, and nothing of the reference
    is UNSEEN.
    """
    column = CategoricalReference.build("c", values, top)
    counts = np.bincount(column.cells(values), minlength=len(column.counts)).tolist()
    assert counts == column.counts
    sizes = counts[: len(column.categories)]
    assert sizes == sorted(sizes, reverse=True)
    assert counts[column.unseen] == 0
    assert counts[column.missing] == values.count(None)
    assert column.singletons == sum(values.count(value) == 1 for value in set(values) - {None})


def test_unseen_is_told_from_other_while_the_others_are_known() -> None:
    """A new category is UNSEEN, unless the reference had too many to remember."""
    few = CategoricalReference.build("c", [f"c{place}" for place in range(100)])
    others = 50 + bucket("c99", few.buckets), few.unseen + bucket("new", few.buckets)
    assert few.cells(["c99", "new", None]).tolist() == [*others, few.missing]
    many = CategoricalReference.build("c", [f"c{place}" for place in range(MAX_OTHER + 60)])
    assert many.cells(["new"]).tolist() == [50 + bucket("new", many.buckets)]
    assert len(many.counts) <= 50 + 2 * MOST_BUCKETS + 1


def test_rare_categories_are_parted_by_nothing_but_their_names() -> None:
    """A category without a cell of its own has one bucket, whether the reference has it or not; the
    buckets' rows and pairs are those of a plain count; a category of many rows keeps its cell.
    """
    random = np.random.default_rng(5)
    values = [f"c{place}" for place in np.minimum(random.geometric(0.004, 6000), 900).tolist()]
    column = CategoricalReference.build("c", values)
    top, buckets = len(column.categories), column.buckets
    assert buckets == 512
    rare = pd.Series([value for value in values if value not in column.categories])
    places = rare.map(lambda name: bucket(name, buckets))
    assert column.counts[top : column.unseen] == np.bincount(places, minlength=buckets).tolist()
    sizes = rare.value_counts()
    expected = np.zeros(buckets)
    np.add.at(expected, sizes.index.map(lambda name: bucket(name, buckets)), sizes * (sizes - 1))
    assert column.pairs == expected.tolist()
    new = [f"n{place}" for place in range(3000)]
    cells = column.cells(new)
    assert cells.tolist() == [column.unseen + bucket(name, buckets) for name in new]
    assert np.bincount(cells - column.unseen, minlength=buckets).max() < 25


def test_a_reference_without_buckets_is_read_as_one_of_them() -> None:
    """A reference that was made before there were buckets has the same cells as ever: 50
    categories, OTHER, UNSEEN, MISSING.
    """
    old = (
        b'{"type":"categorical","name":"c","categories":["a","b"],"other":["x","y"],'
        b'"counts":[9,5,2,0,1],"singletons":2}'
    )
    column = msgspec.json.decode(old, type=CategoricalReference)
    assert column.cells(["a", "y", "new", None]).tolist() == [0, 2, 3, 4]
    assert (column.buckets, column.bin_of_cell, column.unseen) == (1, [0, 1, 2, 3, 4], 3)
    assert column.new_dispersion > 1


def test_offsets_join_the_columns() -> None:
    """The cells of all columns stand one after another, the prediction's last."""
    schema = Schema((Feature("x", "numeric"), Feature("c", "categorical")))
    profile = build_profile(schema, [np.array([1.0, 2.0]), ["a", "b"]], np.array([0.0, 0.0]))
    assert profile.offsets.tolist() == [0, 6, 11, 15]
    assert [column.name for column in profile.columns] == ["x", "c", "prediction"]
