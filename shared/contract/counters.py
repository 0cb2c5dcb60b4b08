"""What the counting stage has counted, as it stands in its checkpoint: read by the API, the demo
and operators.
"""

import msgspec

FIELD = "counters"
"""The checkpoint's field that holds them, as JSON."""


class LabelCounts(msgspec.Struct):
    """What became of the labels of a partition. Each that came is joined, repeated, corrected,
    unknown, expired, unfit, refused, or waits for its prediction (`early`).

    Parameters
    ----------
    joined
        First labels of predictions.
    repeated
        Further labels that are equal to the one before.
    corrected
        Further labels that differ, and replace the one before.
    unknown
        Labels whose prediction did not come within the wait.
    expired
        Labels that came when their prediction was not known any more.
    unfit
        Labels of another kind than the predictions of the version.
    refused
        Labels without a prediction that had no room to wait.
    full
        Predictions that had no room to wait for a label.
    unlabelled
        Predictions that got no label within the wait.
    waiting
        Predictions that are kept now, with a label or without.
    early
        Labels that wait for their prediction now.
    untold
        Predictions of closed panes whose label, or a correction of it, judging has not been told;
        the next tick tells it.
    untold_open
        The same of the pane that is still open; told only after it has closed.

    Examples
    --------
    >>> LabelCounts(joined=5, repeated=2, early=1, waiting=9, untold=5).came
    8
    """

    joined: int = 0
    repeated: int = 0
    corrected: int = 0
    unknown: int = 0
    expired: int = 0
    unfit: int = 0
    refused: int = 0
    full: int = 0
    unlabelled: int = 0
    waiting: int = 0
    early: int = 0
    untold: int = 0
    untold_open: int = 0

    @property
    def came(self) -> int:
        """Labels that came, whatever became of them."""
        joined = self.joined + self.repeated + self.corrected
        return joined + self.unknown + self.expired + self.unfit + self.refused + self.early


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
    labels
        Of models with labels.
    """

    events: int = 0
    versions: dict[str, int] = {}
    duplicates: int = 0
    dead: int = 0
    missing: int = 0
    lost: int = 0
    labels: LabelCounts = msgspec.field(default_factory=LabelCounts)
