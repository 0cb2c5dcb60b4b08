"""What judging is told: see the settings of the same names, and policy_file.py for what a file may
say of each model.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

LATENCY = "latency_p99_ms"


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits on a published metric, as a user states them: no statistical claim, no share of the
    budget.

    Parameters
    ----------
    metric
        Name of a metric (metrics.py).
    feature
        Of a column's metric: this column only; None for every column that counts for drift.
    warning, critical
        A value at or beyond it is bad; at least one of them.
    direction
        On which side values are bad.
    """

    metric: str
    feature: str | None = None
    warning: float | None = None
    critical: float | None = None
    direction: Literal["above", "below"] = "above"


@dataclass(frozen=True, slots=True)
class JudgingPolicy:
    """Rules and thresholds of a model.

    Parameters
    ----------
    partitions
        Of the model; with one, panes are judged as they come.
    psi_warning, psi_critical
        Floors of the true PSI that matter: the field's habit.
    performance_drop
        How much worse than its baseline a metric must be to matter, as a share of the baseline.
    labelled_rows, labelled_days
        The labelled window: the latest panes with so many labelled predictions, none older than so
        many days.
    min_labelled_rows
        Labelled predictions below which performance is INSUFFICIENT_DATA.
    psi_share, integrity_share, e_detector_share, adwin_share, performance_share
        Shares of the false-alarm budget; the detectors' are used by counting, and shown by judging.
    late_share
        Part of `performance_share` that the verdicts on past days take (evaluating/late.py).
    segment_share
        Part of `psi_share` and of `performance_share` that the tests of the segments take, where a
        version has segments.
    min_segment_rows, min_segment_reference_rows
        Window and reference rows below which a segment is not judged for drift; its performance is
        from `min_segment_rows` labelled ones on either side.
    e_detector_errors_share, adwin_errors_share, ddm_errors_share
        Those of the detectors of errors.
    resolve_below
        Share of a threshold below which an evaluation is quiet.
    bad_to_fire, quiet_to_resolve
        Evaluations running.
    cooldown_ms, renotify_ms, renotify_max_ms
        Logical times: see lifecycle.py. With `renotify_ms` 0 nobody is reminded.
    kind
        `classic` alerts on plain PSI and KS instead of the calibrated PSI and the online detectors.
    thresholds
        Of published metrics; the serving latency by default.
    version_superseded_hours
        How long a version must be without events, while others have a window's worth, until its
        alerts end.
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
    thresholds: tuple[Threshold, ...] = (Threshold(LATENCY, warning=100.0, critical=200.0),)
    version_silent_hours: float = 24
    version_superseded_hours: float = 1
