import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.reporting.text import clip, decimal, figure, moment, percent, shown


@given(st.text(), st.integers(2, 100))
def test_clip_holds_its_width(text: str, cells: int) -> None:
    """Clipped text is never longer than asked for, has no line break, and can be written as
    UTF-8.
    """
    clipped = clip(text, cells)
    assert len(clipped) <= cells
    assert "\n" not in clipped
    clipped.encode()


@pytest.mark.parametrize(
    "character", ["\u202e", "\u2066", "\x00", "\x1b", "\ud800", "\ufffe", "\u2028"]
)
def test_deceiving_characters_are_made_visible(character: str) -> None:
    """What reverses, hides or breaks text is shown as its code."""
    assert clip(f"a{character}b", 80) == f"a\\u{ord(character):04x}b"


def test_joined_scripts_stay_whole() -> None:
    """Persian spelling and composed emoji keep the joiners that they are written with."""
    assert clip("\u0645\u06cc\u200c\u062e\u0648", 80) == "\u0645\u06cc\u200c\u062e\u0648"


def test_wide_characters_count_twice() -> None:
    """East Asian text takes no more room than Latin text of the same limit."""
    assert clip("漢" * 30, 14) == "漢" * 6 + "…"


def test_full_text_stays_at_hand_but_capped() -> None:
    """Cut text keeps its beginning in a title, however long it was."""
    assert len(shown("A" * 10_000)) < 600
    assert 'title="' not in shown("short")


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


@pytest.mark.parametrize("milliseconds", [-(10**18), 10**30])
def test_impossible_times_are_shown_raw(milliseconds: int) -> None:
    """A clock beyond the calendar does not stop a report."""
    assert moment(milliseconds) == f"{milliseconds} ms"


@pytest.mark.parametrize(
    ("value", "text"), [(float("inf"), "∞"), (float("-inf"), "\u2212∞"), (float("nan"), "\u2013")]
)
def test_what_is_no_number_is_shown_as_such(value: float, text: str) -> None:
    """Infinite and undefined values have a sign of their own."""
    assert figure(value) == text
