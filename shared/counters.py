"""What the counting stage has counted, as it stands in its checkpoint: read by the API, the demo and operators."""

import msgspec

FIELD = "counters"
"""The checkpoint's field that holds them, as JSON."""


class Counters(msgspec.Struct):
    """Counts of one partition since it exists.

    Parameters
    ----------
    events
        Predictions counted, each exactly once.
    versions
        The same per model version.
    duplicates
        Entries that were recognised as sent before, and not counted again.
    dead
        Entries that went to the dead-letter stream.
    missing
        Sequence numbers that a publisher used and that have not arrived: late, or lost.
    lost
        The same of publishers that were retired: what has not arrived by now never counts.
    """

    events: int = 0
    versions: dict[str, int] = {}
    duplicates: int = 0
    dead: int = 0
    missing: int = 0
    lost: int = 0
