"""Times as people read them."""

import pytest

from driftgauge.shared.wording.times import moment


@pytest.mark.parametrize("milliseconds", [-(10**18), 10**30])
def test_impossible_times_are_shown_raw(milliseconds: int) -> None:
    """A clock beyond the calendar does not stop a report."""
    assert moment(milliseconds) == f"{milliseconds} ms"
