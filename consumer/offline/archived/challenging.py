"""A challenger is held against the champion on the champion's archived rows.

The champion answered the rows when they came; the challenger predicts the same features now. Rows
are compared in the order in which their labels came, so that the comparison is that of somebody who
looks after every label (shared/paired), and one with more labels goes on where it was. Rows that
the challenger may have been trained on are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from driftgauge.consumer.offline.archived.challenger import Challenger
from driftgauge.consumer.offline.archived.pairing import PairedRows, Pairing, together
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import Store
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.errors import BadData
from driftgauge.shared.moments import IsoTime, iso
from driftgauge.shared.paired.difference import Difference, difference, verdict_words
from driftgauge.shared.paired.losses import Loss, LossName
from driftgauge.shared.performance.value import Worth
from driftgauge.shared.reference.segments import OTHER
from driftgauge.shared.versions.manifest import Manifest, PublishedVersion
from driftgauge.shared.wording.numbers import count
from driftgauge.shared.wording.times import moment


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Parameters
    ----------
    since, until
        Times of the predictions, in Unix ms: the first is in the range, the second is not; None for
        any.
    trained_until
        Time before which the rows of the challenger's training lie, in Unix ms, as its owner says;
        None for the time of its training in the manifest.
    by
        What they are compared by; empty for the value if it is known, else the error.
    worth
        What predictions are worth; None if nobody states it.
    alpha
        Probability with which the interval may be wrong at any label.
    """

    since: int | None = None
    until: int | None = None
    trained_until: int | None = None
    by: LossName | None = None
    worth: Worth | None = None
    alpha: float = 0.05


class LossDifference(msgspec.Struct, frozen=True):
    """The comparison by one loss."""

    loss: Loss
    found: Difference


class SegmentDifference(msgspec.Struct, frozen=True):
    """The comparison on the rows of one value of a segment feature."""

    feature: str
    value: str
    found: Difference


class Challenge(msgspec.Struct, frozen=True):
    """What came of it.

    Parameters
    ----------
    said
        The verdict in a sentence.
    start, end
        Times of the first and the last prediction.
    first
        The comparison by the loss that was asked for.
    others
        Those by other losses, which have no part in the verdict.
    segments
        Those by the first loss for each segment; their intervals hold together.
    notes
        What is to be known of the rows, in sentences.
    """

    model: str
    champion: str
    challenger: str
    said: str
    start: IsoTime
    end: IsoTime
    alpha: float
    first: LossDifference
    others: list[LossDifference]
    segments: list[SegmentDifference]
    notes: list[str]


def challenge(
    store: Store,
    challenger: Challenger,
    versions: tuple[PublishedVersion, PublishedVersion],
    asked: Asked,
) -> Challenge:
    """Compare a challenger with the champion.

    Parameters
    ----------
    store
        The archive.
    versions
        The champion and the challenger.

    Raises
    ------
    BadData
        If there are no rows with labels, or too many, or a file cannot be read, or it cannot be
        compared by what is asked for.
    """
    champion, other = versions
    comparing = Pairing(challenger, champion, asked.worth, asked.by)
    seen = _Seen.by(other.manifest, asked.trained_until)
    since = seen.until if asked.since is None else max(asked.since, seen.until)
    manifest = champion.manifest
    wanted = Range(manifest.model, since or None, asked.until, version=manifest.version)
    parts = list(comparing.parts(store, wanted))
    if not parts:
        raise BadData(_nothing(store, wanted, seen, comparing.left_out))
    whole = together(parts)
    found = [
        LossDifference(loss, difference(loss, whole.pairs[loss.name], asked.alpha))
        for loss in comparing.losses
    ]
    segments = list(_segments(champion, comparing.losses[0], whole, asked.alpha))
    worse = [f"{one.feature}={one.value}" for one in segments if one.found.verdict == "worse"]
    names = (manifest.version, other.manifest.version)
    return Challenge(
        manifest.model,
        *names,
        verdict_words(names, found[0].loss, found[0].found, worse),
        iso(int(whole.times.min())),
        iso(int(whole.times.max())),
        asked.alpha,
        found[0],
        found[1:],
        segments,
        [*seen.notes(asked.since), *comparing.notes(whole)],
    )


class _Seen(NamedTuple):
    """Up to which time (Unix ms) the challenger may have seen rows, and who says so."""

    version: str
    until: int
    says: str

    @classmethod
    def by(cls, manifest: Manifest, stated: int | None) -> "_Seen":
        if stated is not None:
            return cls(manifest.version, stated, "stated")
        if manifest.trained:
            return cls(manifest.version, milliseconds(manifest.trained) or 0, "trained")
        return cls(manifest.version, milliseconds(manifest.created) or 0, "registered")

    @property
    def words(self) -> str:
        return {
            "stated": f"{self.version} is said to be trained on rows up to then",
            "trained": f"{self.version} was trained then",
            "registered": f"{self.version} was registered then, and does not say when it was "
            f"trained",
        }[self.says]

    def notes(self, since: int | None) -> Iterator[str]:
        """Yield what is to be known of the beginning of the range."""
        if since is None or since < self.until:
            yield f"Rows before {moment(self.until)} are left out: {self.words}."


def _segments(
    champion: PublishedVersion, loss: Loss, whole: PairedRows, alpha: float
) -> Iterator[SegmentDifference]:
    """Compare the rows of each segment, so that all intervals hold together."""
    held = champion.reference.segments
    of_each = alpha / max(sum(len(one.values) + 1 for one in held), 1)
    pairs = whole.pairs[loss.name]
    for one, codes in zip(held, whole.codes, strict=True):
        names = (*one.values, OTHER)
        for code, value in enumerate(names):
            rows = np.flatnonzero(codes == code)
            if len(rows):
                yield SegmentDifference(one.feature, value, difference(loss, pairs[rows], of_each))


def _nothing(store: Store, wanted: Range, seen: _Seen, left_out: int) -> str:
    since = moment(wanted.since or 0)
    until = "now" if wanted.until is None else moment(wanted.until)
    why = (
        f"the schema of {seen.version} refuses all {count(left_out)} of them"
        if left_out
        else f"{seen.words}. Wait for labels, or say by --trained-until up to which time rows were "
        f"in its training"
        if wanted.since == seen.until
        else "wait for labels, or choose other times"
    )
    return (
        f"{store.where()} has no labelled predictions of {wanted.model} {wanted.version} from "
        f"{since} to {until} that can be compared: {why}."
    )
