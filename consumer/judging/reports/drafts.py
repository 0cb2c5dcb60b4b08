"""Snapshots that wait for the numbers of their columns, so that those of many are computed at once:
while a worker catches up, a step takes hundreds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import msgspec
import numpy as np

from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.reports.column_numbers import ColumnNumbers, numbers_of
from driftgauge.consumer.judging.reports.column_report import version_numbers, with_numbers
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.snapshot import Snapshot

MOST_CELLS: Final = 1 << 19
"""Number of counts, of 8 bytes, with which waiting snapshots are finished."""


@dataclass(slots=True)
class Draft:
    """A snapshot without the numbers of its columns, and what they are computed of.

    Parameters
    ----------
    snapshot
        The snapshot; `Drafts.finish` replaces it by the whole one.
    version
        The version that it is about.
    cells, labels
        Counts of its window, and of the labels if they are shown.
    """

    snapshot: Snapshot
    version: JudgedVersion
    cells: Ints
    labels: Ints | None


@dataclass(slots=True)
class Drafts:
    """The drafts of a step that are not finished yet."""

    _waiting: list[Draft] = field(default_factory=list)
    _cells: int = 0

    def add(self, draft: Draft) -> Draft:
        """Let a draft wait; finish all that wait if they hold many counts."""
        self._waiting.append(draft)
        self._cells += len(draft.cells)
        if self._cells > MOST_CELLS:
            self.finish()
        return draft

    def finish(self) -> None:
        """Give every waiting draft its numbers."""
        for _, alike in groupby(self._waiting, key=lambda draft: id(draft.version)):
            _finish([*alike])
        self._waiting.clear()
        self._cells = 0


def _finish(drafts: Sequence[Draft]) -> None:
    """Finish drafts of one version."""
    version = drafts[0].version
    numbers = version_numbers(version, np.stack([draft.cells for draft in drafts]))
    labelled = [draft for draft in drafts if draft.labels is not None]
    labels = [draft.labels for draft in labelled if draft.labels is not None]
    targets = numbers_of(version.target, np.stack(labels)) if version.target and labels else []
    for draft, found in zip(drafts, numbers, strict=True):
        draft.snapshot = _with_numbers(draft.snapshot, version, found)
    for draft, of_labels in zip(labelled, targets, strict=True):
        draft.snapshot = _with_target(draft.snapshot, of_labels)


def _with_numbers(
    snapshot: Snapshot, version: JudgedVersion, numbers: list[ColumnNumbers]
) -> Snapshot:
    """Return a snapshot with the numbers of its columns, the last of which may be the
    prediction.
    """
    drafts = [*snapshot.features, *((snapshot.prediction,) if snapshot.prediction else ())]
    reports = [
        with_numbers(draft, found, judged_whole=column in version.ordered)
        for column, (draft, found) in enumerate(zip(drafts, numbers, strict=True))
    ]
    prediction = reports.pop() if snapshot.prediction else None
    return msgspec.structs.replace(snapshot, features=reports, prediction=prediction)


def _with_target(snapshot: Snapshot, numbers: ColumnNumbers) -> Snapshot:
    """Return a snapshot with the numbers of its labels."""
    performance = snapshot.performance
    if performance is None or performance.target is None:
        return snapshot
    target = with_numbers(performance.target, numbers)
    return msgspec.structs.replace(
        snapshot, performance=msgspec.structs.replace(performance, target=target)
    )
