"""Which cells a drift comes from."""

import numpy as np
import pytest

from driftgauge.consumer.judging.evaluating.contributions import TOP, label
from driftgauge.shared.reference.profile import CategoricalReference, NumericReference
from driftgauge.shared.statistics.psi import population_stability
from tests.consumer.judging.rules.test_findings import judged


def test_labels_of_intervals_follow_the_bins() -> None:
    """A bin's label holds exactly the values that fall into it, its ends too."""
    values = np.arange(100.0)
    column = NumericReference.build("x", values)
    names = [label(column, place) for place in range(max(column.bin_of_cell) + 1)]
    assert names[:3] == ["up to 9", "above 9, up to 19", "above 19, up to 29"]
    assert names[-2:] == ["above 89", "(missing)"]
    bins = np.array(column.bin_of_cell)[column.cells(np.array([9.0, 9.5, 19.0, 19.1, 1e9, np.nan]))]
    assert [names[place] for place in bins] == [
        "up to 9",
        "above 9, up to 19",
        "above 9, up to 19",
        "above 19, up to 29",
        "above 89",
        "(missing)",
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7.0] * 100, ["any value", "(missing)"]),
        ([0.0] * 50 + [1.0] * 30 + [2.5] * 20, ["up to 0", "above 0, up to 1", "above 1"]),
    ],
)
def test_labels_of_few_values(values: list[float], expected: list[str]) -> None:
    """A constant or a discrete feature has readable bins too."""
    column = NumericReference.build("x", np.array(values))
    assert [label(column, place) for place in range(len(expected))] == expected


def test_labels_of_categories() -> None:
    """A category is called by its name, the rest by what it is."""
    column = CategoricalReference.build("c", ["a", "a", "b", None])
    assert [label(column, place) for place in range(5)] == [
        "a",
        "b",
        "(other)",
        "(unseen)",
        "(missing)",
    ]


def test_the_largest_parts_of_psi_come_first() -> None:
    """The parts are PSI's own summands: the top ones in order, with the shares that make them; none
    for no rows.
    """
    from driftgauge.consumer.judging.evaluating.contributions import contributions

    evaluation = judged(shift=1.0).evaluation
    version = evaluation.version
    found = contributions(version.reference.columns[0], version.part(evaluation.cells, 0))
    assert len(found) == TOP
    assert [one.psi for one in found] == sorted((one.psi for one in found), reverse=True)
    assert found[0].label.startswith("above ")
    assert found[0].window > 2 * found[0].reference
    assert found[0].psi == pytest.approx(
        (found[0].window - found[0].reference) * np.log(found[0].window / found[0].reference),
        abs=1e-4,
    )
    profile = evaluation.version.reference.columns[0]
    place = np.array(profile.bin_of_cell)
    sums = [
        np.bincount(place, weights=cells)
        for cells in (profile.counts, evaluation.version.part(evaluation.cells, 0))
    ]
    assert sum(one.psi for one in found) < population_stability(
        *[one.astype(np.int64) for one in sums]
    )
    lost = judged(missing=0.4).evaluation
    missing = contributions(version.reference.columns[0], lost.version.part(lost.cells, 0))
    assert missing[0].label == "(missing)"
