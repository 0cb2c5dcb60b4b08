"""The series of the chosen model, versions and features."""

from typing import Final

MODEL: Final = 'model="$model"'
VERSION: Final = 'model="$model", version=~"$version"'
FEATURE: Final = 'model="$model", version=~"$version", feature=~"$feature"'
COUNTED: Final = (
    "max by (partition, version, source) "
    f"(rate(driftgauge_events_counted_total{{{VERSION}}}[$__rate_interval]))"
)
FEATURE_PAGE: Final = (
    "This feature in Driftgauge",
    "/dashboard/drift?model=${model:raw}&feature=${__field.labels.feature:percentencode}",
)
PERFORMANCE_PAGE: Final = (
    "Performance in Driftgauge",
    "/dashboard/performance?model=${model:raw}",
)
