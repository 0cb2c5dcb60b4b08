"""The snapshot: what is known about a model version's window at one moment. Written by judging,
read by the API, the command line and the report.

All times are logical Unix times in ms. Shares are between 0 and 1.
"""

from typing import Literal

import msgspec

from driftgauge.shared.contract.alert import Action
from driftgauge.shared.contract.severity import AlertSeverity, Severity

SNAPSHOT_FORMAT = 1


class Statistic(msgspec.Struct, frozen=True):
    """One statistic of a window against the reference.

    Parameters
    ----------
    name
        `psi`, `ks`, `jensen_shannon`, `wasserstein`, `chi_squared`.
    value
        None when it is not defined for these counts; then `note` says why.
    expected
        Its mean without drift, for these sample sizes; None where no formula is known.
    p_value
        Of the test that belongs to it, None if there is none.
    warning, critical
        Thresholds that it is judged by; None for a statistic that is only shown.
    """

    name: str
    value: float | None
    expected: float | None = None
    p_value: float | None = None
    warning: float | None = None
    critical: float | None = None
    note: str = ""


class Histogram(msgspec.Struct, frozen=True):
    """Shares of the rows, reference beside window.

    Either `edges` (n + 1 values, for n bins of a numeric feature, from about the reference's .005
    to its .995 quantile) or `labels` (n categories or distinct values). A numeric value counts for
    the bin that ends at it. `below` and `above` are the shares (reference, window) of what lies
    outside the edges. The shares are of all rows: with those outside they sum to 1 minus the
    missing share.
    """

    edges: list[float] | None
    labels: list[str] | None
    reference: list[float]
    window: list[float]
    below: tuple[float, float] = (0.0, 0.0)
    above: tuple[float, float] = (0.0, 0.0)


class Share(msgspec.Struct, frozen=True):
    """A share of rows: in the reference, in the window, and the p-value of its rise (None if it was
    not tested).
    """

    name: Literal["missing", "unseen", "out_of_range"]
    reference: float
    window: float
    p_value: float | None = None


class FeatureReport(msgspec.Struct, frozen=True):
    """A feature (or the prediction) in a snapshot.

    `reason` says why the severity is what it is: the rule that was broken, what is missing, why it
    is excluded. The `quantiles` (reference and window) are 33 at equal steps from the minimum to
    the maximum, so every eighth is one of the five of a box plot; empty for categories.
    `psi_history` is the PSI at each of the snapshot's `history_times`, None where it was not
    judged. `judged` says what the numbers are, if they are not the values themselves: the age of a
    time, say.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    severity: Severity
    reason: str
    statistics: list[Statistic]
    shares: list[Share]
    histogram: Histogram
    reference_quantiles: list[float]
    window_quantiles: list[float]
    psi_history: list[float | None] = []
    judged: str = ""


class ActiveAlert(msgspec.Struct, frozen=True):
    """An alert that is pending or firing when the snapshot is taken.

    `acknowledged` is the name of who did it, `silenced_until` a logical time, `inhibited_by` the
    fingerprint of the alert that explains this one; each is empty or None without the mark.
    `segment` names the rows that it is about, as `region=north`; empty for all rows.
    """

    fingerprint: str
    feature: str
    rule: str
    severity: AlertSeverity
    state: Literal["pending", "firing"]
    started: int
    summary: str
    action: "Action | None" = None
    acknowledged: str = ""
    silenced_until: int | None = None
    inhibited_by: str = ""
    segment: str = ""


class RecommendedAction(msgspec.Struct, frozen=True):
    """What to do, why, and the fingerprints of the alerts that say so."""

    action: Action
    reason: str
    alerts: list[str]


class RuleLevel(msgspec.Struct, frozen=True):
    """What a rule is judged by: its share of the false-alarm budget and what became of it by the
    traffic.

    Parameters
    ----------
    share
        Of the budget; None for a rule that has none, since it makes no statistical claim.
    significance
        Of one test of one column at one evaluation.
    threshold
        Of the statistic, where one number says it; `critical` is the higher one.
    events_per_30_days
        The traffic that it was derived from, of the model.
    note
        What the numbers mean, or why there is none.
    """

    rule: str
    share: float | None
    significance: float | None
    threshold: float | None
    events_per_30_days: float
    critical: float | None = None
    note: str = ""


class Window(msgspec.Struct, frozen=True):
    """The window: logical times, rows that count for drift, panes, and all events of the model
    counted until its end.
    """

    start: int
    end: int
    rows: int
    panes: int
    events: int


class MetricReport(msgspec.Struct, frozen=True):
    """One performance metric of a window of labelled predictions, or its estimate.

    Parameters
    ----------
    name
        `accuracy`, `f1_macro`, `f1:LABEL`, `rmse`, …: those of shared/performance.
    value
        None where it is not defined for these rows; then `note` says why.
    low, high
        Interval of `Performance.confidence` for the true value; None where none is known, as `note`
        says.
    bound
        How far `value` may be from that of the rows themselves, because scores were binned; 0 where
        it is exact.
    n
        Rows that it rests on.
    baseline
        What it was when the version was made; None if nobody said, and nothing is judged then.
    change
        Relative change from the baseline, positive for better; None without one.
    severity
        `critical`: worse than the baseline by more than the limit, and not by chance.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    bound: float
    n: int
    baseline: float | None = None
    change: float | None = None
    severity: Severity = "ok"
    note: str = ""


class Confusion(msgspec.Struct, frozen=True):
    """The confusion matrix: labels down, predictions across; the last class is OTHER if there was
    any.
    """

    classes: list[str]
    matrix: list[list[int]]


class SegmentDrift(msgspec.Struct, frozen=True):
    """The PSI of a column within a segment, reference rows of the segment against its window rows.

    `threshold` is the PSI that is an alarm; None if the column is only shown, since it is not
    judged by this rule.
    """

    name: str
    psi: float
    threshold: float | None


class SegmentReport(msgspec.Struct, frozen=True):
    """One segment: the rows with one value of a feature.

    Parameters
    ----------
    feature, value
        The value is `OTHER` for the rows of all other values.
    severity, reason
        The worst of its drift and its performance, and why; `insufficient_data` if neither can be
        judged.
    rows
        Of the drift window.
    share, reference_share
        Of the rows, in the drift window and in the reference.
    drift
        The columns with the largest PSI, the largest first; empty below the least rows.
    labelled
        Labelled predictions of the labelled window.
    metrics
        By labels, the judged ones first; empty without labels.
    contribution
        How much of the change of the model's metric (`Segments.metric`) is of this segment: its
        share of the labelled rows times the change of its own metric, in units of that metric. None
        without a baseline.
    """

    feature: str
    value: str
    severity: Severity
    reason: str
    rows: int
    share: float
    reference_share: float
    drift: list[SegmentDrift]
    labelled: int
    metrics: list[MetricReport]
    contribution: float | None = None


class SegmentFeature(msgspec.Struct, frozen=True):
    """The segments of one feature, by their rows in the reference, OTHER last.

    Parameters
    ----------
    mix
        How much of the change of the model's metric comes of other shares of the segments, each as
        good as before; None without a baseline. With the segments' contributions it adds up to the
        change.
    explanation
        One sentence on what changed where; empty if nothing did.
    """

    feature: str
    segments: list[SegmentReport]
    mix: float | None = None
    explanation: str = ""


class Segments(msgspec.Struct, frozen=True):
    """Drift and performance by segment.

    Parameters
    ----------
    metric
        Whose change is parted among the segments: `accuracy` or `mae`; empty without labels.
    value, baseline
        Of the model, on the labelled window and on the labelled reference rows; None without
        labels.
    """

    metric: str
    value: float | None
    baseline: float | None
    features: list[SegmentFeature]


class Performance(msgspec.Struct, frozen=True):
    """How right a version is: by labels, and, marked as such, by estimate.

    It has a window of its own, since labels come late: the latest panes with enough labelled
    predictions.

    Parameters
    ----------
    severity, reason
        The worst of the metrics, and why; `insufficient_data` below the least labelled rows.
    start, end
        Logical times of its window.
    predictions, labelled
        In its window.
    coverage
        Share of the window's predictions that have their label; None without predictions.
    corrected
        Labels that replaced another one.
    delays_ms
        Median, 90 % and 99 % quantile of the time from prediction to label, in ms; empty without
        labels.
    confidence
        Of the intervals.
    metrics
        The metrics by labels, the judged ones first; empty without labels.
    confusion
        Of a classifier with labels.
    estimated
        Metrics that are expected from the published probabilities of the *drift* window, labels or
        not: never facts. Compare each with that of the same name in `metrics`. Empty without
        probabilities.
    assumption
        What the estimates rest on, to be shown beside them; empty without.
    target
        The labels of the window held against those of the reference, as a column of the name
        `label`; None without labels on either side.
    """

    severity: Severity
    reason: str
    start: int
    end: int
    predictions: int
    labelled: int
    coverage: float | None
    corrected: int
    delays_ms: list[float]
    confidence: float
    metrics: list[MetricReport]
    confusion: Confusion | None
    estimated: list[MetricReport]
    assumption: str
    target: FeatureReport | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot report.

    Parameters
    ----------
    id
        Deterministic: the same log gives the same id.
    trigger
        Why it was taken.
    verdict
        One sentence.
    severity
        The worst of its features.
    features
        In stream order; `prediction` stands apart.
    events_per_day
        Traffic that the significance levels are derived from.
    history_times
        Logical times (ms) of at most 64 evaluations of the last days, the latest one last.
    notes
        What the verdict rests on, and what is offered, in sentences.
    actions
        What the open alerts recommend, the most urgent first.
    levels
        What each rule is judged by.
    reference
        Number of the reference that the window is held against: 0 is the registered one.
    performance
        None for a version without labels and without probabilities.
    segments
        None for a version whose schema names none.
    """

    id: str
    model: str
    version: str
    trigger: Literal["schedule", "alert", "current"]
    created: int
    severity: Severity
    verdict: str
    window: Window
    reference_rows: int
    features: list[FeatureReport]
    prediction: FeatureReport | None
    alerts: list[ActiveAlert]
    events_per_day: float
    notes: list[str] = []
    history_times: list[int] = []
    actions: list[RecommendedAction] = []
    levels: list[RuleLevel] = []
    reference: int = 0
    performance: Performance | None = None
    segments: Segments | None = None
    format: int = SNAPSHOT_FORMAT
