"""How the pipeline stood when a report was made. It is no part of the snapshot, which is a function
of the log alone.
"""

import msgspec


class PipelineHealth(msgspec.Struct, frozen=True):
    """The pipeline of one model, all partitions together.

    Parameters
    ----------
    taken
        When it was looked at: Unix time (ms) of Redis's clock.
    events
        Predictions counted, each once.
    lag_seconds
        Entry time between the last counted entry and the last one in the log.
    duplicates
        Entries that had been sent before and were not counted again.
    dead_letters
        Entries that could not be read.
    missing
        Numbers that a publisher used and that have not arrived: late, or lost.
    lost
        The same of publishers that were given up: they never count.
    """

    taken: int
    events: int
    lag_seconds: float
    duplicates: int
    dead_letters: int
    missing: int
    lost: int
