"""A new reference from archived rows, of any time: they are counted to panes, and those summed up
as stored ones are.
"""

from collections.abc import Callable

import msgspec

from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.judging.ordered.accepting import proposed
from driftgauge.consumer.offline.archived.backtesting import Known
from driftgauge.shared.archive.scan import Range, Told
from driftgauge.shared.archive.store import Store
from driftgauge.shared.contract.pane import Pane
from driftgauge.shared.reference.accepted import AcceptedReference
from driftgauge.shared.versions.manifest import PublishedVersion


def propose_archived(
    store: Store,
    published: PublishedVersion,
    wanted: Range,
    least_rows: int,
    told: Told,
    progress: Callable[[], None] = lambda: None,
) -> AcceptedReference:
    """Make a reference of a version's archived rows; its number is given when it is stored.

    Parameters
    ----------
    published
        The version with its registered reference and its calibration.
    wanted
        The logical times of the rows.
    least_rows
        Least number of rows of a reference.
    told
        Told of each file that cannot be read.
    progress
        Function that is called after each step of the calibration.

    Raises
    ------
    BadData
        If there are too few rows, or too few whole days for ordered columns.
    """
    known = Known({published.manifest.version: published})
    past = known.past(CountingPolicy(detectors=()), store, wanted, told)
    panes = [entry for entry in past.panes() if isinstance(entry, Pane)]
    made = proposed(published, panes, least_rows, progress)
    return msgspec.structs.replace(made, resolution={"pane": len(panes)})
