"""All metrics of the API.

Those of a process are its own. Every API process tells the same of the pipeline and of the windows,
so a query over several processes takes the largest: `max by (model, partition)`.
"""

from typing import Final

from driftgauge.shared.metrics.definition import counter, gauge, histogram, summary, table

PROCESS: Final = table(
    gauge(
        "driftgauge_publisher_connected",
        "",
        "Whether this process's publisher is connected to Redis.",
    ),
    counter(
        "driftgauge_events_published_total", "", "Events that Redis acknowledged to this process."
    ),
    gauge("driftgauge_events_queued", "", "Events of this process that wait for Redis."),
    counter(
        "driftgauge_events_dropped_total", "reason", "Events that this process had no room for."
    ),
    counter("driftgauge_events_refused_total", "model", "Events that this process refused."),
    counter(
        "driftgauge_fields_refused_total",
        "model field reason",
        "Fields of events that this process refused; the field `-` is none of the model.",
    ),
    counter(
        "driftgauge_labels_refused_total",
        "model field reason",
        "Labels that this process refused, by the first bad field.",
    ),
    counter(
        "driftgauge_fields_ignored_total",
        "model",
        "Fields of taken events that are no features of the model.",
    ),
    gauge("driftgauge_events_spooled", "", "Events of this process in its spool on disk."),
    gauge("driftgauge_spool_bytes", "", "Bytes of this process's spool on disk."),
    counter(
        "driftgauge_events_resent_total",
        "",
        "Events that this process sent again, in case they were lost.",
    ),
    counter(
        "driftgauge_spool_damaged_total", "", "Damaged records that this process found in spools."
    ),
    counter(
        "driftgauge_task_failures_total",
        "task",
        "Looks of a background task of this process that failed.",
    ),
    gauge(
        "driftgauge_task_age_seconds",
        "task",
        "Seconds since a background task's last successful look.",
    ),
    counter("driftgauge_http_requests_total", "route status", "Requests."),
    histogram("driftgauge_predict_duration_seconds", "", "Time until /predict answered."),
    counter(
        "driftgauge_model_calls_given_up_total",
        "model version",
        "Model calls of this process that did not return in time.",
    ),
    gauge("driftgauge_connections", "", "Open connections to this process."),
    counter(
        "driftgauge_connections_refused_total",
        "reason",
        "Connections and requests that this process ended before a route saw them.",
    ),
)
"""What an API process counts itself, with or without Redis."""

PIPELINE: Final = table(
    gauge("driftgauge_redis_up", "", "Whether Redis answered this scrape."),
    gauge(
        "driftgauge_pipeline_readable",
        "",
        "Whether the pipeline's figures could be read from Redis.",
    ),
    counter(
        "driftgauge_events_counted_total",
        "model partition version source",
        "Events counted, each exactly once, by where they came from: online, batch or shadow; "
        "unknown for those that an earlier release counted.",
    ),
    counter(
        "driftgauge_predictions_failed_total",
        "model partition",
        "Predictions that failed, as clients told.",
    ),
    histogram(
        "driftgauge_prediction_latency_seconds",
        "model version",
        "Time that predictions took, as their events say.",
    ),
    counter(
        "driftgauge_duplicates_total",
        "model partition",
        "Entries that had been counted and were not counted again.",
    ),
    counter("driftgauge_dead_letters_total", "model partition", "Entries that could not be read."),
    gauge(
        "driftgauge_sequences_missing",
        "model partition",
        "Numbers of publishers that have not arrived: late, or lost.",
    ),
    counter(
        "driftgauge_events_lost_total",
        "model partition",
        "Numbers of retired publishers that never arrived.",
    ),
    counter(
        "driftgauge_events_void_total",
        "model partition",
        "Numbers that no event has: the API refused what had them, or a client gave it up.",
    ),
    counter(
        "driftgauge_panes_rolled_back_total",
        "model partition",
        "Times that a shard came back with older panes.",
    ),
    counter(
        "driftgauge_labels_total",
        "model partition outcome",
        "Labels that came, by what became of them.",
    ),
    counter(
        "driftgauge_labels_too_late_total", "model", "Labels of days that are not kept any more."
    ),
    counter(
        "driftgauge_predictions_without_label_total",
        "model partition reason",
        "Predictions that got no label within the wait (unlabelled), or had no room to wait for "
        "one (full).",
    ),
    gauge(
        "driftgauge_labels_waiting",
        "model partition kind",
        "Predictions that are kept for labels, and labels without prediction.",
    ),
    gauge(
        "driftgauge_labels_untold",
        "model partition pane",
        "Joined rows that judging has not been told of, of closed panes (told at the next tick), "
        "and of the open one.",
    ),
    counter(
        "driftgauge_exchanges_total",
        "model partition outcome",
        "Requests and answers that were logged apart: pairs, repetitions, and halves that stayed "
        "alone or found no room.",
    ),
    gauge(
        "driftgauge_exchanges_waiting",
        "model partition",
        "Requests and answers that wait for their other half.",
    ),
    gauge(
        "driftgauge_lag_entries",
        "model partition",
        "Entries that are not counted yet; where Redis does not know: at least.",
    ),
    gauge(
        "driftgauge_lag_seconds",
        "model partition",
        "Entry time between the last counted and the last entry.",
    ),
    gauge(
        "driftgauge_oldest_uncounted_seconds",
        "model partition",
        "Age of the oldest entry that is not counted yet.",
    ),
    gauge("driftgauge_owner_present", "model partition", "Whether a worker owns the partition."),
    gauge("driftgauge_judging_owner_present", "model", "Whether a worker judges the model."),
    gauge(
        "driftgauge_judging_lag_panes",
        "model partition",
        "Closed panes that judging has not read yet.",
    ),
    gauge(
        "driftgauge_judging_waiting_panes",
        "model partition",
        "Panes that judging has read and that wait for other partitions.",
    ),
    gauge(
        "driftgauge_alerts_firing",
        "model version severity",
        "Drift alerts that fire, as of the current window.",
    ),
    gauge(
        "driftgauge_incidents_open",
        "model severity kind",
        "Open incidents, of the model and its data (model) or of its operation (operation).",
    ),
    counter(
        "driftgauge_notifications_total",
        "route outcome",
        "Messages of a route that its target took (sent), or that became dead letters (refused), "
        "and attempts that failed and were repeated (retried).",
    ),
    gauge(
        "driftgauge_notifications_waiting",
        "route",
        "Incidents with news that a route has not told yet, also for quiet hours.",
    ),
    gauge(
        "driftgauge_notifications_overdue_seconds",
        "route",
        "How long the oldest of them waits for the target alone; 0 if none does.",
    ),
    gauge(
        "driftgauge_notifications_failing",
        "route",
        "Whether the route's target did not take the last message.",
    ),
    gauge(
        "driftgauge_notification_success_timestamp_seconds",
        "route",
        "Time at which the route's target last took a message; absent before the first.",
    ),
    counter(
        "driftgauge_commands_refused_total",
        "model",
        "Commands to alerts that could not be applied.",
    ),
    gauge(
        "driftgauge_blind",
        "model rule",
        "Whether a rule of the watchdog fires: the monitor does not see.",
    ),
)
"""How the pipeline stands in Redis."""

WINDOWS: Final = table(
    gauge(
        "driftgauge_model_severity",
        "model",
        "Worst severity of the model's current windows and open incidents: 0 is well, 1 a "
        "warning, 2 critical; absent while nothing of it can be judged.",
    ),
    gauge(
        "driftgauge_version_severity",
        "model version",
        "Severity of a version's current window: 0, 1 or 2; absent while it cannot be judged.",
    ),
    gauge(
        "driftgauge_version_judged",
        "model version",
        "Whether the current window can be judged; 0 with too few rows, for example.",
    ),
    gauge(
        "driftgauge_window_rows",
        "model version",
        "Rows of the current window that count for drift.",
    ),
    gauge(
        "driftgauge_window_end_timestamp_seconds",
        "model version",
        "Time of the current window's end, by the events.",
    ),
    gauge(
        "driftgauge_feature_psi",
        "model version feature",
        "PSI of a feature against the reference; the prediction and the label are features here.",
    ),
    gauge(
        "driftgauge_feature_psi_threshold",
        "model version feature severity",
        "PSI from which the feature is a warning, or critical.",
    ),
    gauge(
        "driftgauge_feature_ks",
        "model version feature",
        "Kolmogorov-Smirnov statistic of a numeric feature against the reference.",
    ),
    gauge(
        "driftgauge_feature_missing_ratio",
        "model version feature",
        "Share of the window's rows in which the feature is missing.",
    ),
    gauge(
        "driftgauge_feature_unseen_ratio",
        "model version feature",
        "Share of the window's rows with a category that the reference does not have.",
    ),
    gauge(
        "driftgauge_feature_out_of_range_ratio",
        "model version feature",
        "Share of the window's rows with a number beyond the reference's range.",
    ),
    gauge(
        "driftgauge_feature_severity",
        "model version feature",
        "Severity of a feature: 0, 1 or 2; absent while it cannot be judged.",
    ),
    gauge(
        "driftgauge_features_omitted",
        "model version",
        "Features without series of their own: only the worst over all models have them.",
    ),
    gauge(
        "driftgauge_performance",
        "model version metric",
        "A metric of the labelled window, such as accuracy or rmse, in its own unit.",
    ),
    gauge(
        "driftgauge_performance_lower",
        "model version metric",
        "Lower end of the metric's 95 % interval.",
    ),
    gauge(
        "driftgauge_performance_upper",
        "model version metric",
        "Upper end of the metric's 95 % interval.",
    ),
    gauge(
        "driftgauge_performance_baseline",
        "model version metric",
        "The metric when the version was made.",
    ),
    gauge(
        "driftgauge_performance_estimated",
        "model version metric",
        "The metric as it is estimated from probabilities, without labels, of the drift window.",
    ),
    gauge(
        "driftgauge_performance_estimated_lower",
        "model version metric",
        "Lower end of the estimate's 95 % interval.",
    ),
    gauge(
        "driftgauge_performance_estimated_upper",
        "model version metric",
        "Upper end of the estimate's 95 % interval.",
    ),
    gauge(
        "driftgauge_performance_severity",
        "model version",
        "Severity of the performance: 0, 1 or 2; absent while it cannot be judged.",
    ),
    gauge(
        "driftgauge_labelled_rows", "model version", "Labelled predictions of the labelled window."
    ),
    gauge(
        "driftgauge_label_coverage_ratio",
        "model version",
        "Share of the labelled window's predictions that have their label.",
    ),
    summary(
        "driftgauge_label_delay_seconds",
        "model version",
        "Time from a prediction to its label in the labelled window: median, 90 % and 99 %.",
    ),
    gauge(
        "driftgauge_segment_severity",
        "model version segment",
        "Severity of a segment, such as region=north: 0, 1 or 2; absent while it cannot be judged.",
    ),
    gauge(
        "driftgauge_segment_rows",
        "model version segment",
        "Rows of the current window in a segment.",
    ),
    gauge(
        "driftgauge_segment_psi",
        "model version segment feature",
        "PSI of the feature that drifted most within a segment.",
    ),
    gauge(
        "driftgauge_segment_performance",
        "model version segment metric",
        "The first metric of a segment in the labelled window, in its own unit.",
    ),
    gauge(
        "driftgauge_segments_omitted",
        "model version",
        "Segments without series of their own: only the worst over all models have them.",
    ),
)
"""What judging found in the current windows. A version's series end when it is no longer judged."""

EVERY: Final = {**PROCESS, **PIPELINE, **WINDOWS}
"""All metrics of the API by name."""
