"""Promises of the PSI beside a value that has most of the rows."""

import numpy as np
import pandas as pd
import pytest

from driftgauge.consumer.judging.evaluating.beside_atom import BesideAtom
from driftgauge.consumer.offline.comparison import compare
from driftgauge.shared.reference.profile import NumericReference, ReferenceProfile


def claims(random: np.random.Generator, rows: int, share: float = 0.08) -> np.ndarray:
    return np.where(random.random(rows) < share, random.lognormal(5, 1, rows).round(1), 0.0)


@pytest.mark.parametrize(("reference", "window", "share"), [(1000, 600, 0.08), (5000, 2000, 0.4)])
def test_chance_exceeds_the_limit_no_more_often_than_the_level(
    reference: int, window: int, share: float
) -> None:
    """Without drift, and without a floor, the statistic exceeds its threshold at 5 % in no more
    than 5 % of 300 seeded windows (and three standard errors), also with 48 rows beside the atom.
    """
    random = np.random.default_rng(window)
    over = 0
    for _ in range(300):
        column = NumericReference.build("claims", claims(random, reference, share))
        beside = BesideAtom.of(ReferenceProfile(reference, (column,)), 0)
        assert beside is not None
        cells = np.bincount(
            column.cells(claims(random, window, share)), minlength=len(column.counts)
        )
        over += beside.psi(cells, window) > beside.threshold(0.0, 0.05, cells, window)
    assert over / 300 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize("scale", [0.25, 4.0])
def test_what_is_not_zero_is_resolved_with_few_rows(scale: float) -> None:
    """All that is not zero is divided by four, or multiplied: 48 of 600 rows. The zeros are as
    frequent as before, so the column's PSI alone is within chance; the column is told all the same,
    as a WARNING that says where it drifted.
    """
    random = np.random.default_rng(1)
    before, after = claims(random, 1000), claims(random, 600) * scale
    (found,) = compare(pd.DataFrame({"x": before}), pd.DataFrame({"x": after})).features
    assert found.severity == "warning"
    assert "PSI beside its commonest value" in found.reason
    (calm,) = compare(
        pd.DataFrame({"x": before}), pd.DataFrame({"x": claims(random, 600)})
    ).features
    assert calm.severity == "ok"


def test_calm_comparisons_keep_their_budget() -> None:
    """Comparisons of zero-inflated columns without drift alarm no more often than the 1 % that is
    asked for: at most 5 of 150 (more have a probability of 1 %).
    """
    random = np.random.default_rng(2)
    alarms = 0
    for _ in range(150):
        sides = [
            pd.DataFrame(
                {
                    name: claims(random, rows, share)
                    for name, share in (("x", 0.06), ("y", 0.2), ("z", 0.5))
                }
            )
            for rows in (1500, 800)
        ]
        alarms += compare(sides[0], sides[1]).severity != "ok"
    assert alarms <= 5


@pytest.mark.parametrize(
    "values",
    [
        np.repeat([0.0, 1.0], [900, 100]),
        np.arange(1000.0),
        np.repeat([0.0, 1.0, 2.0], [970, 20, 10]),
        np.zeros(1000),
    ],
    ids=["flag", "no atom", "too few beside it", "constant"],
)
def test_a_column_without_a_part_of_its_own(values: np.ndarray) -> None:
    """A flag has one other value, which cannot drift by itself; a column without a heavy value, or
    with a handful of rows beside it, is judged as a whole.
    """
    column = NumericReference.build("x", values)
    beside = BesideAtom.of(ReferenceProfile(len(values), (column,)), 0)
    window = np.array(column.counts)
    assert beside is None or beside.psi(window, 1000) == 0.0
    assert beside is None or beside.threshold(0.25, 1e-3, window, 1000) == float("inf")
