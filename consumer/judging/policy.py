"""What judging is told: see the settings of the same names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JudgingPolicy:
    """Rules and thresholds of a model.

    Parameters
    ----------
    partitions
        Of the model; with one, panes are judged as they come.
    psi_warning, psi_critical
        Floors of the true PSI that matter: the field's habit.
    psi_share, integrity_share
        Shares of the false-alarm budget.
    resolve_below
        Share of a threshold below which an evaluation is quiet.
    bad_to_fire, quiet_to_resolve
        Evaluations running.
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
    resolve_below: float = 0.7
    bad_to_fire: int = 2
    quiet_to_resolve: int = 3
    version_silent_hours: float = 24
