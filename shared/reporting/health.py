"""State of the pipeline when a report was made. It is not part of the snapshot, which is a function
of the log only.
"""

import msgspec


class PipelineHealth(msgspec.Struct, frozen=True):
    """The pipeline of one model, all partitions together.

    Parameters
    ----------
    taken
        Unix time (ms) by Redis's clock at which the state was read.
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
        Missing numbers of publishers that were retired: they are lost for good.
    """

    taken: int
    events: int
    lag_seconds: float
    duplicates: int
    dead_letters: int
    missing: int
    lost: int
