"""Bounds as a user writes them."""

import pytest

from driftgauge.shared.errors import BadData
from driftgauge.shared.versions.gates import Gates, parse_bounds


@pytest.mark.parametrize(
    "text",
    ["accuracy", "accuracy>0.9", "accuracy>=", ">=1", "accuracy>=high", "rmse<=nan", "a>=1<=2"],
)
def test_what_is_no_bound_is_named(text: str) -> None:
    """A misspelt bound is refused and quoted, never dropped: the gate would be open."""
    with pytest.raises(BadData, match="These are no gates"):
        parse_bounds(["accuracy>=0.9", text])


def test_metrics_of_both_bounds() -> None:
    """A metric bounded from both sides is one metric."""
    assert Gates({"r2": 0.5}, {"rmse": 4, "r2": 1}).metrics == ("r2", "rmse")
