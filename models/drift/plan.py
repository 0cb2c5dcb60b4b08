"""The options of a simulation, without heavy imports: the command line's help reads this module."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

DriftKind = Literal[
    "feature_shift", "missing_values", "label_imbalance", "concept", "new_category", "combined"
]
"""Kind of drift; injection.py says what each kind does to the rows."""
DRIFT_KINDS: Final[tuple[DriftKind, ...]] = get_args(DriftKind)

DriftShape = Literal["abrupt", "gradual", "incremental", "recurring"]
"""Growth of a drift over time: at once, as ever more rows, ever stronger, or in episodes."""
DRIFT_SHAPES: Final[tuple[DriftShape, ...]] = get_args(DriftShape)


@dataclass(frozen=True)
class SimulationPlan:
    """One simulation, as the command line asks for it.

    Parameters
    ----------
    model
        Name of the model that the rows are posted to.
    intensity
        Size of the drift, above 0 and at most 1. What it measures depends on the kind: see
        injection.py.
    events
        Rows to post.
    seed
        Seed of the traffic; the same seed posts the same rows.
    rate
        Most rows a second; 0 is no limit.
    label_delay_s
        Mean time from a prediction to its label, in seconds.
    feature
        The feature that drifts; None chooses one that suits the kind.
    clean_events
        Rows before the drift begins; None is half of them.
    segment
        The only segment that drifts, such as `region=north`; None lets all rows drift.
    """

    model: str
    kind: DriftKind
    intensity: float
    shape: DriftShape
    events: int
    seed: int
    rate: float
    label_delay_s: float
    feature: str | None = None
    clean_events: int | None = None
    segment: str | None = None

    @property
    def clean(self) -> int:
        """Rows before the drift begins."""
        return self.events // 2 if self.clean_events is None else self.clean_events
