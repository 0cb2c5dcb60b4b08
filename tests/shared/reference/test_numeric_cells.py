"""Cells of numbers against NumPy's binary search on both sides of each cut."""

import numpy as np
import pytest

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.numeric_cells import FEW, NumericCells

CUTS = {
    "normal": np.sort(np.random.default_rng(0).normal(size=256)),
    "integers": np.arange(7.0),
    "skewed": np.unique(np.exp(np.random.default_rng(1).normal(scale=5, size=256))),
    "nearly one number": 1 + np.arange(300) * 2.0**-52,
    "span beyond all numbers": np.array([-1.7e308, 0.0, 1.7e308]),
    "span near beyond": np.array([-8e307, -1.0, 3.0, 8e307]),
    "subnormal": np.array([0.0, 5e-324, 1e-320]),
    "one": np.array([3.0]),
    "none": np.empty(0),
}


def one(cuts: Floats, values: Floats) -> Ints:
    """The cells of one column's values."""
    return NumericCells([cuts]).of(values[None])[0]


def tolerances(cuts: Floats) -> Floats:
    """The rule, written again: float32's relative error, but a quarter of the way to a neighbour at
    most.
    """
    found = []
    for place, cut in enumerate(cuts.tolist()):
        others = [abs(cut - other) / 4 for other in np.delete(cuts, place).tolist()]
        found.append(min([abs(cut) * (2.0**-24 + 2.0**-36), *others]))
    return np.array(found)


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("rows", [FEW // 2, 5000])
def test_the_table_gives_the_cells_of_a_binary_search(name: str, rows: int) -> None:
    """Whatever the cuts are, a value, a cut and their closest neighbours get the cell that
    comparing with the ends of each cut's tolerance gives.
    """
    cuts, random = CUTS[name], np.random.default_rng(2)
    drawn = [
        random.normal(size=rows),
        random.normal(scale=1e3, size=rows),
        np.exp(random.normal(scale=9, size=rows)),
    ]
    beside = [cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf)]
    for values in (*drawn, *beside, np.array([0.0, -0.0, 1.79e308, -1.79e308, -np.inf])):
        tolerance = tolerances(cuts)
        expected = (cuts + tolerance).searchsorted(values)
        expected += (cuts - tolerance).searchsorted(values, side="right")
        assert one(cuts, values).tolist() == expected.tolist()


@pytest.mark.parametrize("name", CUTS)
def test_what_is_no_number_is_missing(name: str) -> None:
    """NaN and infinity beyond the last cut are MISSING, the last cell."""
    cells = one(CUTS[name], np.array([np.nan, np.inf]))
    assert cells.tolist() == [2 * len(CUTS[name]) + 1] * 2


@pytest.mark.parametrize("name", ["normal", "integers", "skewed", "one"])
def test_what_single_precision_makes_of_a_cut_is_the_cut(name: str) -> None:
    """A cut that was stored as float32, or written with eight digits, is in its own cell."""
    cuts = CUTS[name]
    own = (2 * np.arange(len(cuts)) + 1).tolist()
    written = np.array([float(f"{cut:.9g}") for cut in cuts])
    for values in (cuts, cuts.astype(np.float32).astype(np.float64), written):
        assert one(cuts, values).tolist() == own


def test_the_tolerance_hides_no_shift_of_a_millionth() -> None:
    """A value that differs from an atom in its seventh digit is beside it, and values that are
    packed more closely than float32 can tell keep cells of their own.
    """
    atoms = np.array([0.1, 5.0, 1e6])
    assert one(atoms, atoms * (1 + 1e-6)).tolist() == [2, 4, 6]
    seconds = 1.76e9 + np.arange(100.0)
    assert one(seconds, seconds).tolist() == (2 * np.arange(100) + 1).tolist()
