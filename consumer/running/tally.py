"""What a stage of this worker has done: plain numbers, which its own threads write and a scrape
reads. They never hold the work up.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds (s) of a spell's buckets; a last bucket holds what took longer."""
Failure = Literal["lease", "away", "moved", "refused", "fault"]
"""Why an ownership ended: its lease was lost, Redis did not answer, the slot is elsewhere, Redis
refused to write, or the work failed."""
FAILURES: Final[tuple[Failure, ...]] = get_args(Failure)
"""All of them. Each is counted from 0: a series that begins with 1 shows no rise."""


@dataclass(slots=True, eq=False)
class Tally:
    """The numbers of one stage. One thread at a time writes them.

    Parameters
    ----------
    stage, model
        Kind of the stage, and the model that it works for; empty if for none alone.
    seconds
        Time that its turns took.
    spells, spell_s
        Number of spells in each bucket, and the time that they took in all.
    days_removed
        Days of the archive that it removed, predictions' and labels' ones.
    reached_ms
        Entry time (ms) of the entry that it has come to while more waits; None if it is not behind,
        or its entries tell no time.
    """

    stage: str
    model: str = ""
    seconds: float = 0.0
    commits: int = 0
    takeovers: int = 0
    failures: Counter[Failure] = field(default_factory=Counter)
    spells: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    spell_s: float = 0.0
    reached_ms: int | None = None
    days_removed: int = 0

    def turned(self, seconds: float, reached_ms: int | None) -> None:
        """Note a turn."""
        self.seconds += seconds
        self.reached_ms = reached_ms

    def rested(self, seconds: float) -> None:
        """Note the end of a spell."""
        self.spells[bisect_left(BOUNDS_S, seconds)] += 1
        self.spell_s += seconds

    def committed(self) -> None:
        """Note a commit."""
        self.commits += 1

    def removed(self, days: int) -> None:
        """Note days of the archive that were removed."""
        self.days_removed += days

    def failed(self, why: Failure) -> None:
        """Note that an error ended an ownership."""
        self.failures[why] += 1
        self.reached_ms = None

    def lag_s(self, now_ms: int) -> float:
        """Return how far (s) it is behind.

        Examples
        --------
        >>> tally = Tally("counting", "steel")
        >>> tally.turned(0.5, reached_ms=1000)
        >>> tally.lag_s(3500), Tally("judging").lag_s(3500)
        (2.5, 0.0)
        """
        return 0.0 if self.reached_ms is None else max(0, now_ms - self.reached_ms) / 1000
