"""What the API, the demo and operators read of the counting stage's checkpoint: its counters, and
the numbers of the publishers.
"""

from typing import Final

import msgspec

from driftgauge.shared.contract.pane import LATENCY_EDGES_MS

FIELD = "counters"
"""Field of the checkpoint that holds the counters, as JSON."""
PUBLISHER: Final = b"publisher:"
"""Beginning of a publisher's field in the checkpoint; its name follows."""
CLIENT: Final = b"client:"
"""Beginning of the names of publishers that are clients, so that none can take the name of an API
process.
"""


LATENCY_BOUNDS_S: Final = tuple(float(f"{edge / 1000:.4g}") for edge in LATENCY_EDGES_MS[2::4])
"""Upper bounds (s) of the latencies that are counted for good: every fourth edge of a pane's cells,
so that a bound is about 2.5 times the one before. A last count holds what took longer.
"""


class LabelCounts(msgspec.Struct):
    """Counts of a partition's labels by what became of them: each is joined, repeated, corrected,
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
        Labels whose prediction did not arrive within the wait.
    expired
        Labels that arrived after their prediction was deleted.
    unfit
        Labels of another kind than the predictions of the version.
    refused
        Labels without a prediction for which there was no room to wait.
    full
        Predictions for which there was no room to wait for a label.
    unlabelled
        Predictions that got no label within the wait.
    waiting
        Predictions that are kept now, with a label or without.
    early
        Labels that wait for their prediction now.
    untold
        Predictions of closed panes whose label or correction was not yet passed on to judging; the
        next tick passes it on.
    untold_open
        Such predictions of the open pane, whose labels are passed on only after it has closed.

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
        """Number of labels that arrived, whatever became of them."""
        joined = self.joined + self.repeated + self.corrected
        return joined + self.unknown + self.expired + self.unfit + self.refused + self.early


class ExchangeCounts(msgspec.Struct):
    """Counts of a partition's requests and responses that are logged apart.

    Parameters
    ----------
    paired
        Requests that met their response: each became one prediction.
    repeated
        Halves that came more than once.
    unanswered, unasked
        Requests whose response did not arrive within the wait, and responses without a request.
    full
        Halves for which there was no room to wait.
    waiting
        Halves that wait for the other one now.
    """

    paired: int = 0
    repeated: int = 0
    unanswered: int = 0
    unasked: int = 0
    full: int = 0
    waiting: int = 0


class VersionTraffic(msgspec.Struct, omit_defaults=True):
    """What the predictions of a version tell beside their values, since it is counted.

    Parameters
    ----------
    sources
        Number of predictions by source.
    latency
        Number of predictions that took at most each of `LATENCY_BOUNDS_S` and more than the one
        before, and of those that took longer; empty if none told its latency.
    latency_us
        Sum of the latencies, in whole microseconds, so that it does not depend on how the log was
        cut into batches.
    """

    sources: dict[str, int] = {}
    latency: list[int] = []
    latency_us: int = 0


class Counters(msgspec.Struct):
    """Counts of one partition since it was created.

    Parameters
    ----------
    events
        Predictions counted, each exactly once.
    versions
        Predictions counted, per model version.
    duplicates
        Entries that were recognised as sent before, and not counted again.
    dead
        Entries that went to the dead-letter stream.
    missing
        Sequence numbers that publishers used and that have not arrived: they are late or lost.
    lost
        Missing sequence numbers of publishers that were retired: they are lost for good.
    failed
        Predictions that failed, as clients told.
    void
        Sequence numbers that no event has: the API refused what had them, or a client gave it up.
    labels
        Counts of labels, for models with labels.
    exchanges
        Counts of requests and responses that are logged apart.
    traffic
        Sources and latencies of the predictions, per model version.
    """

    events: int = 0
    versions: dict[str, int] = {}
    duplicates: int = 0
    dead: int = 0
    missing: int = 0
    lost: int = 0
    failed: int = 0
    void: int = 0
    labels: LabelCounts = msgspec.field(default_factory=LabelCounts)
    exchanges: ExchangeCounts = msgspec.field(default_factory=ExchangeCounts)
    traffic: dict[str, VersionTraffic] = {}


class PackedPublisher(msgspec.Struct, omit_defaults=True):
    """A publisher as the checkpoint stores it.

    Parameters
    ----------
    bounds
        Runs of numbers that have arrived, as first and last, in order.
    last_ms
        Entry time (ms) of its last entry.
    closed
        Numbers up to this one were closed: what of them is missing is lost.
    """

    bounds: list[list[int]]
    last_ms: int
    closed: int = 0
