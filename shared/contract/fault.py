"""A fault of a stage of the worker: written beside its checkpoint, read by the watchdog of the API.
Pure.
"""

from typing import Final

import msgspec

from driftgauge.shared.moments import Moment

FIELD: Final = b"fault"
"""The checkpoint's field that holds the latest one."""
FOLLOWERS: Final = ("reports", "retraining", "rollback", "archive:incidents")
"""Names of the checkpoints of the followers of a model's streams (`Keys.follower`), whose faults
are shown beside those of counting and judging.
"""
ARCHIVE: Final = "archive"
"""Name of the archiving of all partitions, whose fault is shown among those of the followers."""
ARCHIVED_PANES: Final = "archive:panes"
"""Name of the checkpoint of the follower that archives a partition's panes."""
TRIES: Final = 3
"""Attempts after which a fault is more than a hiccup: people are told, and the entry is singled
out.
"""


class StageFault(msgspec.Struct, frozen=True):
    """What a stage fails on.

    Parameters
    ----------
    stage
        Name of the stage, such as `counting steel.0`.
    reason
        The last line of the traceback, cut to a readable length.
    entry
        Id of the entry, or of the first one of a batch, that it fails on; empty if it fails before
        it has one.
    tries
        Attempts that failed in this way so far.
    since, at
        When the first and the latest of them failed, by Redis's clock in ms.
    set_aside
        Entries that went to the dead letters for it.
    over
        Whether the stage goes on since then.
    """

    stage: str
    reason: str
    entry: str = ""
    tries: int = 1
    since: Moment = 0
    at: Moment = 0
    set_aside: int = 0
    over: bool = False
