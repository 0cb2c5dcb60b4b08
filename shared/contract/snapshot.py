"""The snapshot: all results about a model version's window at one moment. Judging writes it; the
API, the command line and the report read it.

All times are logical Unix times in ms. Shares are between 0 and 1.
"""

from typing import Literal

import msgspec

from driftgauge.shared.contract.alert import Action
from driftgauge.shared.contract.severity import AlertSeverity, Severity
from driftgauge.shared.moments import Moment
from driftgauge.shared.unpacking import require_known

SNAPSHOT_FORMAT = 1
Trigger = Literal["schedule", "alert", "current"]
"""Why a snapshot was taken."""


class Statistic(msgspec.Struct, frozen=True):
    """One statistic of a window against the reference.

    Parameters
    ----------
    name
        Name of the statistic: `psi`, `ks`, `jensen_shannon`, `wasserstein`, `chi_squared`.
    value
        Its value; None if it is not defined for these counts, as `note` says.
    expected
        Its mean without drift, for these sample sizes; None where no formula is known.
    p_value
        P-value of its test; None if there is none.
    warning, critical
        Thresholds that it is judged by; None for a statistic that is only shown.
    note
        Why there is no value; empty if there is one.
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

    It has either `edges` (n + 1 values, for n bins of a numeric feature, from about the reference's
    .005 to its .995 quantile) or `labels` (n categories or distinct values). A numeric value
    belongs to the bin that ends at it. `reference` and `window` are the bins' shares, `below` and
    `above` the shares (reference, window) of values outside the edges. All shares are of all rows:
    with those outside they sum to 1 minus the missing share.
    """

    edges: list[float] | None
    labels: list[str] | None
    reference: list[float]
    window: list[float]
    below: tuple[float, float] = (0.0, 0.0)
    above: tuple[float, float] = (0.0, 0.0)


class Share(msgspec.Struct, frozen=True):
    """A share of rows that have something wrong.

    Parameters
    ----------
    name
        What is wrong with them.
    reference, window
        The share, in the reference and in the window.
    p_value
        P-value of its rise; None if it was not tested.
    """

    name: Literal["missing", "unseen", "out_of_range"]
    reference: float
    window: float
    p_value: float | None = None


class CategoryRows(msgspec.Struct, frozen=True):
    """A category that the window, or the reference, does not have.

    Parameters
    ----------
    name
        The category.
    rows
        Rows of the window that have it, or were expected to have it.
    """

    name: str
    rows: float


class FeatureReport(msgspec.Struct, frozen=True):
    """A feature (or the prediction) in a snapshot.

    `name` and `kind` are those of the schema. `reason` says why the `severity` is what it is: the
    rule that was broken, what is missing, why it is excluded. `statistics` and `shares` hold the
    window against the reference, and `histogram` shows both. The `reference_quantiles` and
    `window_quantiles` are 33 at equal steps from the minimum to the maximum, so every eighth is one
    of the five of a box plot; empty for categories.
    `psi_history` is the PSI at each of the snapshot's `history_times`, None where it was not
    judged. `vanished` are categories that the window lacks, with the rows expected of each, and
    `appeared` those that the reference lacks, with their rows; at most 10 each, the largest first.
    A window counts and keeps no rows, so what appeared is known of a comparison only. `judged`
    says what the numbers are, if they are not the values themselves: the age of a time, say. `unit`
    is the unit of the numbers, as the schema has it; empty if none is known.
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
    vanished: list[CategoryRows] = []
    appeared: list[CategoryRows] = []
    judged: str = ""
    unit: str = ""


class ActiveAlert(msgspec.Struct, frozen=True):
    """An alert that is pending or firing when the snapshot is taken.

    `fingerprint`, `rule`, `severity`, `state`, `started`, `summary` and `action` are those of the
    alert, and `feature` is the column that it is about (empty for the model). `acknowledged` is the
    name of the person who did it, `silenced_until` a logical time (ms), `inhibited_by` the
    fingerprint of the alert that explains this one; each is empty or None without the mark.
    `segment` is the segment that it is about, as `region=north`; empty for all rows.
    """

    fingerprint: str
    feature: str
    rule: str
    severity: AlertSeverity
    state: Literal["pending", "firing"]
    started: Moment
    summary: str
    action: "Action | None" = None
    acknowledged: str = ""
    silenced_until: Moment | None = None
    inhibited_by: str = ""
    segment: str = ""


class RecommendedAction(msgspec.Struct, frozen=True):
    """What to do: an `action`, its `reason`, and the fingerprints of the `alerts` that say so."""

    action: Action
    reason: str
    alerts: list[str]


class RuleLevel(msgspec.Struct, frozen=True):
    """The level of a rule: its share of the false-alarm budget, and the significance and threshold
    that follow from it at the current traffic.

    Parameters
    ----------
    rule
        Name of the rule.
    share
        Share of the budget; None for a rule without one, since it makes no statistical claim.
    significance
        Significance level of one test of one column at one evaluation.
    threshold, critical
        Threshold of the statistic, if it is one number, and the higher one of a critical alert.
    events_per_30_days
        Traffic of the model that the level was derived from.
    note
        Meaning of the numbers, or why there are none.
    """

    rule: str
    share: float | None
    significance: float | None
    threshold: float | None
    events_per_30_days: float
    critical: float | None = None
    note: str = ""


class Window(msgspec.Struct, frozen=True):
    """The window that was judged.

    Parameters
    ----------
    start, end
        Its logical times (ms).
    rows
        Its rows that count for drift.
    panes
        Number of its panes.
    events
        All events of the model until its end.
    """

    start: Moment
    end: Moment
    rows: int
    panes: int
    events: int


class MetricReport(msgspec.Struct, frozen=True):
    """One performance metric of a window of labelled predictions, or its estimate.

    Parameters
    ----------
    name
        Name of a metric of shared/performance: `accuracy`, `f1_macro`, `f1:LABEL`, `rmse`, `value`,
        ….
    value
        Value; None where it is not defined for these rows, as `note` says.
    low, high
        Interval of `Performance.confidence` for the true value; None where none is known, as `note`
        says.
    bound
        Largest difference of `value` from the exact value of the rows, because scores were binned;
        0 if it is exact.
    n
        Number of rows that it is based on.
    baseline
        Value when the version was made; None if unknown, and then the metric is not judged.
    change
        Relative change from the baseline, positive for better; None without a baseline.
    severity
        `critical` if worse than the baseline by more than the limit, significantly.
    note
        What is missing, and why; empty if nothing is.
    unit
        Unit of `value`, `low`, `high`, `bound` and `baseline`, as the schema has it, or, of what
        predictions are worth, the policy; empty for a metric without a unit.
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
    unit: str = ""


class Confusion(msgspec.Struct, frozen=True):
    """The confusion matrix: `matrix` has labels in rows and predictions in columns, in the order of
    `classes`; the last class is OTHER if it occurs.

    Where the policy states what predictions are worth, `amounts` is what each cell adds to the
    value of 1,000 predictions, in `unit`: None for a cell without a value. Else it is empty.
    """

    classes: list[str]
    matrix: list[list[int]]
    amounts: list[list[float | None]] = []
    unit: str = ""


class SegmentDrift(msgspec.Struct, frozen=True):
    """The PSI of a column within a segment: the segment's reference rows against its window rows.

    `name` is the column and `psi` its PSI. `threshold` is the PSI that is an alarm; None if the
    column is only shown and not judged.
    """

    name: str
    psi: float
    threshold: float | None


class GroupRate(msgspec.Struct, frozen=True):
    """How a segment is treated, by one rate.

    Parameters
    ----------
    name
        `selection_rate`, `true_positive_rate` or `false_positive_rate`, of the favourable outcome
        (`Segments.outcome`).
    value, baseline
        The rate in the window, and in the reference; None where there are no rows for it.
    rows
        Rows of the window that it is a share of: all, or the labelled ones with or without the
        outcome.
    """

    name: str
    value: float | None
    baseline: float | None
    rows: int


class FairnessReport(msgspec.Struct, frozen=True):
    """A measure of fairness over the segments of a feature.

    Parameters
    ----------
    name
        `selection_rate_ratio` (1 if all are treated alike), `equal_opportunity` or `equalised_odds`
        (0 if they are).
    value
        The least rate by the largest, or the largest less the least; None where it is not defined,
        as `note` says.
    low, high
        Interval of 95 % for the measure of all rows that could have come, for all segments at once.
    baseline
        Value in the reference; None where it is not defined.
    rate, least, most
        The rate that differs most, and the values of the segments that have the least and the most
        of it; empty without a value.
    rows
        Rows of the segments that were compared.
    warning, critical
        Limits of the policy; None without.
    severity
        Whether it is beyond them, and not by chance; None without a limit.
    note
        Why there is no value; empty if there is one.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    baseline: float | None
    rate: str
    least: str
    most: str
    rows: int
    warning: float | None = None
    critical: float | None = None
    severity: Severity | None = None
    note: str = ""


class SegmentReport(msgspec.Struct, frozen=True):
    """One segment: the rows with one value of a feature.

    Parameters
    ----------
    feature, value
        Feature and its value; the value is `OTHER` for the rows of all other values.
    severity, reason
        Worst severity of its drift and its performance, and the reason; `insufficient_data` if
        neither can be judged.
    rows
        Rows in the drift window.
    share, reference_share
        Share of the rows in the drift window, and in the reference.
    drift
        Columns with the largest PSI, the largest first; empty with too few rows.
    labelled
        Number of labelled predictions in the labelled window.
    metrics
        Metrics by labels, the judged ones first; empty without labels.
    contribution
        Contribution of this segment to the change of the model's metric (`Segments.metric`): its
        share of the labelled rows times the change of its own metric, in units of that metric. None
        without a baseline.
    rates
        How it is treated; empty if the version has no favourable outcome.
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
    rates: list[GroupRate] = []


class SegmentFeature(msgspec.Struct, frozen=True):
    """The segments of one feature, by their rows in the reference, OTHER last.

    Parameters
    ----------
    feature, segments
        Name of the feature, and its segments.
    mix
        Contribution of changed shares of the segments to the change of the model's metric; None
        without a baseline. The mix and the segments' contributions add up to the change.
    explanation
        One sentence on what changed where; empty if nothing did.
    fairness
        How alike its segments are treated; empty if the version has no favourable outcome.
    """

    feature: str
    segments: list[SegmentReport]
    mix: float | None = None
    explanation: str = ""
    fairness: list[FairnessReport] = []


class Segments(msgspec.Struct, frozen=True):
    """Drift and performance by segment.

    Parameters
    ----------
    features
        The features that the schema names as segments.
    metric
        Metric whose change is divided among the segments: `accuracy` or `mae`; empty without
        labels.
    value, baseline
        Value for the model on the labelled window, and on the labelled reference rows; None without
        labels.
    unit
        Unit of the metric, as the schema has it; empty for a metric without a unit.
    outcome
        The class that is the favourable outcome, of which fairness is measured; empty if there is
        none.
    """

    metric: str
    value: float | None
    baseline: float | None
    features: list[SegmentFeature]
    unit: str = ""
    outcome: str = ""


class Performance(msgspec.Struct, frozen=True):
    """The performance of a version: measured by labels, and estimated without them.

    It has a window of its own, since labels come late: the latest panes with enough labelled
    predictions.

    Parameters
    ----------
    severity, reason
        Worst severity of the metrics, and the reason; `insufficient_data` with too few labelled
        rows.
    start, end
        Logical times (ms) of its window.
    predictions, labelled
        Number of predictions in its window, and how many of them have a label.
    coverage
        Share of the window's predictions that have their label; None without predictions.
    corrected
        Number of labels that replaced another one.
    delays_ms
        Median, 90 % and 99 % quantile of the time from prediction to label, in ms; empty without
        labels.
    confidence
        Confidence level of the intervals, 0 to 1.
    metrics
        The metrics by labels, the judged ones first; empty without labels.
    confusion
        Confusion matrix, for a classifier with labels.
    estimated
        Metrics estimated from the published probabilities of the *drift* window, to compare with
        those of the same names in `metrics`. Empty without probabilities.
    assumption
        Assumption of the estimates, to be shown beside them; empty without estimates.
    target
        Drift of the labels, reported as a column named `label`; None without labels on either side.
    history_times, history
        Logical times (ms) of at most 64 evaluations of the last 24 hours, the latest one last, and
        the first of `metrics` at each.
    """

    severity: Severity
    reason: str
    start: Moment
    end: Moment
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
    history_times: list[int] = []
    history: list[float | None] = []


class Failures(msgspec.Struct, frozen=True):
    """Predictions that failed, among the latest that were tried.

    Parameters
    ----------
    attempts, failed
        Predictions that were tried, and those that failed.
    kinds
        Kinds of the errors and their numbers, the commonest first.
    """

    attempts: int
    failed: int
    kinds: list[tuple[str, int]]


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot report.

    Parameters
    ----------
    id
        Id of the snapshot, which is the same whenever the same log is judged.
    model, version
        What it is about.
    trigger
        Reason why it was taken.
    created
        When it was taken (logical ms).
    window, reference_rows
        The window, and the number of rows that it is compared with.
    alerts
        The alerts that are open.
    verdict
        Summary in one sentence.
    severity
        Worst severity of its features.
    features, prediction
        The features in stream order, and the prediction; None where the reference has none.
    events_per_day
        Traffic that the significance levels are derived from.
    history_times
        Logical times (ms) of at most 64 evaluations of the last days, the latest one last.
    notes
        Basis of the verdict and offers to the user, in sentences.
    actions
        Actions that the open alerts recommend, the most urgent first.
    levels
        Level of each rule.
    reference
        Number of the reference that the window is compared with: 0 is the registered one.
    performance
        Performance; None for a version without labels and without probabilities.
    segments
        Segments; None for a version whose schema names none.
    failures
        Failed predictions; None if none of the latest failed.
    format
        Number of this format.
    """

    id: str
    model: str
    version: str
    trigger: Trigger
    created: Moment
    severity: Severity
    verdict: str
    window: Window
    reference_rows: int
    features: list[FeatureReport]
    prediction: FeatureReport | None
    alerts: list[ActiveAlert]
    events_per_day: float
    notes: list[str] = []
    history_times: list[Moment] = []
    actions: list[RecommendedAction] = []
    levels: list[RuleLevel] = []
    reference: int = 0
    performance: Performance | None = None
    segments: Segments | None = None
    failures: Failures | None = None
    format: int = SNAPSHOT_FORMAT

    def __post_init__(self) -> None:
        require_known(self.format, SNAPSHOT_FORMAT)
