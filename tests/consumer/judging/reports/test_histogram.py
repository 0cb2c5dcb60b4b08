import itertools

import numpy as np
import pytest

from driftgauge.consumer.judging.reports.histogram import histograms, quantiles
from driftgauge.shared.contract.snapshot import Histogram
from driftgauge.shared.reference.profile import CategoricalReference, NumericReference
from driftgauge.shared.statistics import ColumnCounts

RNG = np.random.default_rng(7)
REFERENCE = RNG.normal(size=20_000)


def counted(column: NumericReference | CategoricalReference, values: object) -> ColumnCounts:
    cells = column.cells(values)  # type: ignore[arg-type]  # of the column's kind
    return ColumnCounts(column, np.bincount(cells, minlength=len(column.counts)))


def shown(counts: ColumnCounts) -> Histogram:
    return histograms(counts.side, counts.window[None])[0]


@pytest.mark.parametrize("shift", [0.0, 1.0, 50.0])
def test_bars_are_the_shares_of_the_rows(shift: float) -> None:
    """A bar holds exactly the rows in (a, b]; what lies outside has shares of its own; all of it
    sums to 1 less missing.
    """
    values = np.append(REFERENCE[:3000] + shift, [np.nan] * 200)
    counts = counted(NumericReference.build("x", REFERENCE), values)
    found = shown(counts)
    edges = np.array(found.edges)
    inside = [((values > a) & (values <= b)).mean() for a, b in itertools.pairwise(edges)]
    inside[0] += (values == edges[0]).mean()
    assert found.window == pytest.approx(inside, abs=2e-6)
    assert (found.below[1], found.above[1]) == pytest.approx(
        ((values < edges[0]).mean(), (values > edges[-1]).mean()), abs=2e-6
    )
    assert sum(found.window) + found.below[1] + found.above[1] == pytest.approx(
        3000 / 3200, abs=1e-4
    )
    assert sum(found.reference) + found.below[0] + found.above[0] == pytest.approx(1, abs=1e-4)
    assert max(found.below[0], found.above[0]) < 0.01


def test_quantiles_against_numpy() -> None:
    """The 33 quantiles are NumPy's within the width of a cell, in order, the ends those of the
    reference's range.
    """
    column = NumericReference.build("x", REFERENCE)
    counts = counted(column, REFERENCE[:5000])
    found = quantiles(counts.side, counts.window[None])[0]
    assert len(found) == 33
    assert found == sorted(found)
    assert found[1:-1] == pytest.approx(
        np.quantile(REFERENCE[:5000], np.linspace(0, 1, 33)[1:-1]), abs=0.03
    )


def test_a_surging_category_is_shown() -> None:
    """The categories shown are the largest of either side: a rare one that surged is not hidden
    among the others.
    """
    names = [f"c{place:02}" for place in range(40) for _ in range(40 - place)]
    column = CategoricalReference.build("c", names)
    found = shown(counted(column, ["c38"] * 50 + ["c00"] * 40 + ["new"] * 10))
    assert found.labels is not None
    shares = dict(zip(found.labels, found.window, strict=True))
    assert (shares["c38"], shares["c00"], shares["(unseen)"]) == (0.5, 0.4, 0.1)
    assert len(found.labels) == 22
    assert sum(found.reference) == pytest.approx(1, abs=1e-4)
