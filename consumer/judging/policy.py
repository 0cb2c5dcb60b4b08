"""The policy of judging: see the settings of the same names, and policy_file.py for the settings of
each model.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

from driftgauge.shared.performance import Worth

LATENCY = "latency_p99_ms"
FAILED = "failed_share"


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits on a published metric, as a user states them: no statistical claim, no share of the
    budget.

    Parameters
    ----------
    metric
        Name of a metric (metrics.py).
    feature
        Column that a column's metric is limited for; None for every column that counts for drift.
    warning, critical
        A value at or beyond the limit is bad; at least one of the two is needed.
    direction
        Side of the limit on which values are bad.
    """

    metric: str
    feature: str | None = None
    warning: float | None = None
    critical: float | None = None
    direction: Literal["above", "below"] = "above"


class FairnessLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits on how differently the segments of a feature may be treated.

    Parameters
    ----------
    measure
        Name of a measure (`driftgauge.shared.performance.MEASURES`).
    feature
        Feature whose segments are compared.
    warning, critical
        A measure whose interval lies beyond the limit is bad: below it if it is a ratio, above it
        if it is a difference; at least one of the two is needed.
    """

    measure: str
    feature: str
    warning: float | None = None
    critical: float | None = None

    @property
    def subject(self) -> str:
        """What its alerts are about: all segments of the feature."""
        return f"{self.feature}=*"

    def is_on(self, measure: str, feature: str) -> bool:
        """Return whether it limits a measure of a feature."""
        return (self.measure, self.feature) == (measure, feature)

    @property
    def first(self) -> float:
        """The limit that is reached first."""
        return self.warning if self.warning is not None else self.critical or 0.0


@dataclass(frozen=True, slots=True)
class JudgingPolicy:
    """Rules and thresholds of a model.

    Parameters
    ----------
    partitions
        Partitions of the model; with one, panes are judged as they come.
    psi_warning, psi_critical
        Least true PSI that is a warning, and that is critical: the usual .1 and .25.
    performance_drop
        How much worse than its baseline a metric must be, as a share of the baseline.
    labelled_rows, labelled_days
        Size of the labelled window: the latest panes with this many labelled predictions, none
        older than this many days.
    min_labelled_rows
        Least labelled predictions; with fewer, performance is INSUFFICIENT_DATA.
    psi_share, integrity_share, e_detector_share, adwin_share, performance_share
        Shares of the false-alarm budget; the detectors' are used by counting, and shown by judging.
    late_share
        Part of `performance_share`, and of what `psi_share` leaves the labels, that the verdicts on
        past days take (labelled/late.py).
    segment_share
        Part of `psi_share` and of `performance_share` for the tests of the segments, if a version
        has segments.
    min_segment_rows, min_segment_reference_rows
        Least window and reference rows to judge a segment for drift. Its performance needs
        `min_segment_rows` labelled ones on both sides.
    e_detector_errors_share, adwin_errors_share, ddm_errors_share
        Shares of the budget for the detectors of errors.
    resolve_below
        Share of a threshold below which an evaluation is quiet.
    bad_to_fire, quiet_to_resolve
        Number of consecutive evaluations.
    cooldown_ms, renotify_ms, renotify_max_ms
        Logical times: see lifecycle.py. With `renotify_ms` 0 nobody is reminded.
    kind
        `classic` alerts on plain PSI and KS instead of the calibrated PSI and the online detectors.
    thresholds
        Limits on published metrics; by default on the serving latency, and on the share of
        predictions that fail.
    outcome
        The class that is the favourable outcome, of which fairness is measured; empty for the
        second of two.
    fairness
        Limits on how differently segments may be treated; by default none.
    value
        What predictions are worth, so that their value is a judged metric; by default not known.
    version_superseded_hours
        Hours without events, while other versions fill a window, after which a version's alerts
        end.
    """

    partitions: int = 1
    pane_events: int = 250
    pane_seconds: int = 3600
    window_events: int = 2000
    window_days: int = 7
    min_window_rows: int = 500
    min_reference_rows: int = 1000
    expected_events_per_day: float = 100_000
    false_alarms_per_month: float = 1.0
    snapshot_seconds: int = 3600
    snapshot_events: int = 50_000
    psi_warning: float = 0.1
    psi_critical: float = 0.25
    psi_share: float = 0.3
    integrity_share: float = 0.2
    e_detector_share: float = 0.3
    adwin_share: float = 0.1
    performance_share: float = 0.05
    e_detector_errors_share: float = 0.03
    adwin_errors_share: float = 0.01
    ddm_errors_share: float = 0.01
    performance_drop: float = 0.05
    labelled_rows: int = 2000
    labelled_days: int = 28
    min_labelled_rows: int = 200
    late_share: float = 0.2
    segment_share: float = 0.5
    min_segment_rows: int = 200
    min_segment_reference_rows: int = 400
    resolve_below: float = 0.7
    bad_to_fire: int = 2
    quiet_to_resolve: int = 3
    cooldown_ms: int = 3_600_000
    renotify_ms: int = 0
    renotify_max_ms: int = 604_800_000
    kind: Literal["standard", "classic"] = "standard"
    thresholds: tuple[Threshold, ...] = (
        Threshold(LATENCY, warning=100.0, critical=200.0),
        Threshold(FAILED, warning=0.01, critical=0.05),
    )
    outcome: str = ""
    fairness: tuple[FairnessLimit, ...] = ()
    value: Worth | None = None
    version_silent_hours: float = 24
    version_superseded_hours: float = 1
