from typing import Any

import numpy as np
import pytest

from driftgauge.shared.explaining.background import background
from driftgauge.shared.explaining.explanation import Explanation, Unexplained
from driftgauge.shared.explaining.sampling import (
    LEAST_PAIRS,
    MOST_FEATURES,
    MOST_ROWS,
    estimated,
    pairs_of,
    rows_of_pair,
    walks,
)
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from tests.shared.explaining.worlds import ALL, FRAME, NUMBERS, reference_of, schema_of, total

SCHEMA = schema_of(ALL)
REFERENCE = reference_of(SCHEMA)
ROW = [1.0, 2.5, 3.0, "rome"]


def priced(rows: list[list[Any]]) -> Any:
    """A number that depends on a and c together, on a category, and not on b."""
    return np.array([a * c + 3 * (city == "rome") for a, _, c, city in rows])


def estimate(row: list[Any] = ROW) -> Explanation:
    planned = walks(row, SCHEMA, REFERENCE)
    return estimated(planned.orders, priced(planned.rows), "prediction")


def test_an_estimate_adds_up() -> None:
    """Base and contributions are the prediction, whatever was drawn, in which a feature without
    effect has none, and one whose effect depends on no other the one that it has.
    """
    found = estimate()
    assert total(found) == pytest.approx(priced([ROW])[0])
    assert found.standard_errors is not None
    assert found.contributions[1] == found.standard_errors[1] == 0
    share = (FRAME.city == "rome").mean()
    wanted, error = 3 * (1 - share), found.standard_errors[3]
    assert 0 < error < 0.3
    assert abs(found.contributions[3] - wanted) < 5 * error


def test_the_same_request_has_the_same_answer() -> None:
    """Nothing but the row and the version decides about an estimate."""
    assert estimate() == estimate()
    assert estimate([5.0, 2.5, 3.0, "oslo"]) != estimate()


def test_walks_change_one_feature_at_a_time() -> None:
    """From a row of the reference to the row, by an order and by its reverse."""
    planned = walks(ROW, SCHEMA, REFERENCE)
    assert planned.rows[0] == ROW
    first, count = planned.orders[0].tolist(), len(ROW)
    begin, *between = planned.rows[1 : 1 + rows_of_pair(count)]
    for way, walked in ((first, between[: count - 1]), (first[::-1], between[count - 1 :])):
        changed = set()
        for place, row in zip(way, walked, strict=False):
            changed.add(place)
            assert row == [ROW[at] if at in changed else begin[at] for at in range(count)]


@pytest.mark.parametrize("features", [1, 2, 18, 100, MOST_FEATURES])
def test_the_model_is_asked_with_a_bounded_number_of_rows(features: int) -> None:
    """However many features there are; the fewest pairs are enough for a standard error."""
    asked = 1 + pairs_of(features) * rows_of_pair(features)
    assert asked <= max(MOST_ROWS + 1, 1 + LEAST_PAIRS * rows_of_pair(MOST_FEATURES)) <= 4097
    schema = Schema(tuple(Feature(f"x{at}", "numeric") for at in range(features)))
    frame = FRAME[["a"] * features].set_axis([*schema.names], axis=1)
    planned = walks([1.0] * features, schema, reference_of(schema, frame))
    assert len(planned.rows) == asked
    values = np.array(planned.rows, dtype=float).sum(axis=1)
    found = estimated(planned.orders, values, "prediction")
    assert total(found) == pytest.approx(features)
    assert np.isfinite(found.standard_errors or [np.nan]).all()


def test_what_cannot_be_estimated_says_why() -> None:
    """Too many features, personal ones, and times."""
    many = Schema(tuple(Feature(f"x{at}", "numeric") for at in range(MOST_FEATURES + 1)))
    with pytest.raises(Unexplained, match="257 features, and an estimate is made of 256"):
        walks([1.0] * (MOST_FEATURES + 1), many, REFERENCE)
    dropped = schema_of(NUMBERS, dropped="b")
    with pytest.raises(Unexplained, match=r"personal features \(b\)"):
        walks([1.0, 2.0, 3.0], dropped, reference_of(dropped))
    timed = Schema((Feature("a", "numeric"), Feature("since", "timestamp")))
    with pytest.raises(Unexplained, match=r"times among its features \(since\)"):
        walks([1.0, 2.0], timed, REFERENCE)


def test_numbers_without_a_spread_are_refused() -> None:
    """An answer has no number that JSON does not have."""
    planned = walks(ROW, SCHEMA, REFERENCE)
    values = np.where(np.arange(len(planned.rows)) % 2, 1e308, -1e308)
    with pytest.raises(Unexplained, match="too large for an estimate"):
        estimated(planned.orders, values, "prediction")


def test_the_background_is_the_references() -> None:
    """Values of the reference, each as often as it has them: a share of 4,000 draws is within five
    standard errors, which a right one misses once in a million.
    """
    frame = FRAME.assign(b=[0.0, 0.0, 0.0, np.nan] * 100, c=7.0)
    rows = background(SCHEMA, reference_of(SCHEMA, frame), 4000, np.random.default_rng(3))
    a, b, c, city = (list(column) for column in zip(*rows, strict=True))
    assert {*a} <= {*frame.a}
    assert np.mean(np.array(a) < frame.a.median()) == pytest.approx(0.5, abs=0.05)
    assert {*b} == {0.0, None}
    assert b.count(None) / 4000 == pytest.approx(0.25, abs=0.035)
    assert {*c} == {7.0}
    shares = frame.city.value_counts(normalize=True)
    for name, share in shares.items():
        assert city.count(name) / 4000 == pytest.approx(share, abs=0.04)


def test_rare_categories_are_drawn_too() -> None:
    """A category without a cell of its own stands for its bucket; a column of missing values alone
    gives no other.
    """
    names = [f"n{number % 200}" for number in range(len(FRAME))]
    frame = FRAME.assign(city=names, b=np.nan)
    rows = background(SCHEMA, reference_of(SCHEMA, frame), 1000, np.random.default_rng(3))
    drawn = {row[3] for row in rows}
    assert drawn <= {*names}
    assert len(drawn) > 100
    assert {row[1] for row in rows} == {None}
