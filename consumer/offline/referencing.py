"""Makes a new reference of the stored panes, for the command line and for the requests of
the API.
"""

from collections.abc import Callable, Iterator

import msgspec

from driftgauge.consumer.judging.ordered.accepting import proposed
from driftgauge.consumer.offline.stored_panes import History
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import Pane, PaneEntry
from driftgauge.shared.reference.accepted import AcceptedReference
from driftgauge.shared.settings import Settings
from driftgauge.shared.versions.manifest import PublishedVersion

DAY_MS = 86_400_000


def propose(
    settings: Settings,
    published: PublishedVersion,
    window_ms: int,
    progress: Callable[[], None] = lambda: None,
) -> AcceptedReference:
    """Make a reference of a version's latest panes; its number is given when it is stored.

    Parameters
    ----------
    published
        The version with its registered reference and its calibration.
    window_ms
        Length (ms) of the window, which ends at the model's logical time.
    progress
        Function that is called after each step.

    Raises
    ------
    BadData
        If the panes have too few rows, or too few whole days for ordered columns.
    """
    history = History(settings.redis_url, Keys(settings.key_prefix), published.manifest)
    judge = history.judge()
    start = window_start(judge.progress.now, window_ms)
    panes = panes_from(history.entries(start, judge), start)
    made = proposed(published, panes, settings.min_reference_rows, progress)
    return msgspec.structs.replace(
        made, resolution={str(name): count for name, count in history.used.items()}
    )


def window_start(now: int, window_ms: int) -> int:
    """Return where a window begins; one of a day or more at a midnight, so that it has whole days.

    Examples
    --------
    >>> window_start(10 * DAY_MS + 5, 2 * DAY_MS) // DAY_MS, window_start(10 * DAY_MS, 3_600_000)
    (8, 860400000)
    """
    start = now - window_ms
    return start // DAY_MS * DAY_MS if window_ms >= DAY_MS else start


def panes_from(entries: Iterator[PaneEntry], start: int) -> Iterator[Pane]:
    """Yield the panes and sums of panes that began at or after a logical time."""
    return (entry for entry in entries if isinstance(entry, Pane) and entry.start >= start)
