"""Text of others, made harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.wording.plain import clip, shown


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
