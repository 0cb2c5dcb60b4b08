"""The history of a version's references: accepting, undoing, and changes in a log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.history import (
    ReferenceChange,
    ReferenceHistory,
    decode_change,
    encode_change,
)


@given(st.lists(st.booleans(), max_size=12))
def test_undo_goes_back_as_a_stack_does(steps: list[bool]) -> None:
    """Accept and undo in any order: the one in use is the top of what was accepted and not undone;
    no number comes twice.
    """
    history, stack, given_numbers = ReferenceHistory(), [0], set[int]()
    for accept in steps:
        if accept:
            history = history.accepted("1.0.0", "ann", "why", "")
            assert history.number not in given_numbers
            given_numbers.add(history.number)
            stack.append(history.number)
        elif len(stack) > 1:
            stack.pop()
            history = history.undone("1.0.0", "bob", "why", "")
        else:
            with pytest.raises(BadData, match="nothing to undo"):
                history.undone("1.0.0", "bob", "why", "")
        assert history.number == stack[-1]
    assert [change.change for change in history.changes] == list(range(1, len(history.changes) + 1))


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"{",
        b"[]",
        b'{"version":"1"}',
        b'{"version":"1","change":0,"number":0,"who":"a","reason":""}',
    ],
)
def test_what_is_no_change_is_said(packed: bytes) -> None:
    """Anybody may write to a log: what cannot be read is a ValueError, as for any other entry."""
    with pytest.raises(ValueError, match="content cannot be read"):
        decode_change(packed)
    change = ReferenceChange("1.0.0", 1, 0, "ann", "why", undo=True)
    assert decode_change(encode_change(change)) == change
