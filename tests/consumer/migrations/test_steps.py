"""The table of the steps."""

from driftgauge.consumer.migrations import STEPS
from driftgauge.shared.contract.keys import FORMAT, OLDEST_FORMAT


def test_each_format_that_is_read_has_a_step() -> None:
    """From the oldest format that a release claims to read there is a step at a time to the one
    that it writes, and no other.
    """
    wanted = range(int(OLDEST_FORMAT), int(FORMAT))
    assert list(map(int, STEPS)) == list(wanted)
