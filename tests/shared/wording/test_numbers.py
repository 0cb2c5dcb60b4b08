"""Numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.wording.numbers import decimal, figure, percent


@given(st.floats(min_value=-1e300, max_value=1e300))
def test_figures_are_right_to_their_digits(value: float) -> None:
    """Reading a figure back gives the value to four significant digits."""
    read = float(figure(value).replace(",", "").replace("\u2212", "-"))
    assert read == pytest.approx(value, rel=6e-4, abs=0)


@given(st.floats(0, 1))
def test_none_and_all_are_never_rounded_to(share: float) -> None:
    """A share reads 0 % or 100 % only if it is exactly that."""
    assert (percent(share) in {"0\u00a0%", "100\u00a0%"}) == (share in {0.0, 1.0})


def test_small_statistics_do_not_become_zero() -> None:
    """A statistic below .001 keeps three significant digits."""
    assert decimal(0.0000123456) == "0.0000123"


@pytest.mark.parametrize(
    ("value", "text"), [(float("inf"), "∞"), (float("-inf"), "\u2212∞"), (float("nan"), "\u2013")]
)
def test_what_is_no_number_is_shown_as_such(value: float, text: str) -> None:
    """Infinite and undefined values have a sign of their own."""
    assert figure(value) == text
