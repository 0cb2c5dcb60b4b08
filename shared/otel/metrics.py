"""Metrics by OTLP: what `/metrics` shows, sent to a collector every minute
(`OTEL_METRIC_EXPORT_INTERVAL`, ms).

There is one list of metrics, that of Prometheus; here its text takes the form of OpenTelemetry, so
that none can be missing in one of the two.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

EXPORTERS: Final = "opentelemetry.exporter"
"""The loggers of what sends; we tell in their place whether it arrives."""
INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"
INTERVAL_MS: Final = 60_000
UNITS: Final[Mapping[str, str]] = {"seconds": "s", "bytes": "By", "ratio": "1"}
"""Units of OpenTelemetry by how the names of Prometheus end."""
CUMULATIVE: Final = AggregationTemporality.CUMULATIVE

Collect = Callable[[], bytes]
"""Returns the metrics as they stand, in the text format of Prometheus."""

log = logging.getLogger("driftgauge.telemetry")


class Pushing:
    """A thread that sends metrics, and once more at the end.

    Parameters
    ----------
    collect
        Function that returns them; called in this thread.
    """

    def __init__(self, resource: Resource, collect: Collect) -> None:
        self._resource = resource
        self._collect = collect
        self._begun_ns = time.time_ns()
        logging.getLogger(EXPORTERS).setLevel(logging.CRITICAL)
        self._exporter = OTLPMetricExporter()
        self._ended = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send once more, and stop."""
        self._ended.set()
        self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        seconds = _interval_ms() / 1000
        while not self._ended.wait(seconds):
            self._send()
        self._send()

    def _send(self) -> None:
        """Send once; what fails is told at the first time, and sent anew the next time."""
        try:
            families = text_string_to_metric_families(self._collect().decode())
            found = [*converted(families, self._begun_ns, time.time_ns())]
            sent = self._exporter.export(self._whole(found))
            fault = "" if sent is MetricExportResult.SUCCESS else "it was not taken"
        except Exception as error:  # noqa: BLE001  the next one tries again
            fault = type(error).__name__
        if fault and not self._failing:
            log.warning("Metrics could not be sent to the collector (%s)", fault)
        elif self._failing and not fault:
            log.info("The collector takes metrics again")
        self._failing = bool(fault)

    def _whole(self, found: list[Metric]) -> MetricsData:
        scope = ScopeMetrics(InstrumentationScope("driftgauge"), found, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])


def converted(families: Iterable[Family], begun_ns: int, now_ns: int) -> Iterator[Metric]:
    """Return families of Prometheus as metrics of OpenTelemetry.

    Parameters
    ----------
    begun_ns, now_ns
        Unix times (ns) since when the counters count, and of now.

    Examples
    --------
    >>> from prometheus_client.core import CounterMetricFamily
    >>> family = CounterMetricFamily("driftgauge_events", "Events.", labels=["model"])
    >>> family.add_metric(["steel"], 3)
    >>> (metric,) = converted([family], 1, 2)
    >>> metric.name, metric.data.data_points[0].value, metric.data.is_monotonic
    ('driftgauge_events', 3.0, True)
    """
    for family in families:
        unit = next((one for end, one in UNITS.items() if family.name.endswith(f"_{end}")), "")
        if family.type == "histogram":
            points = [*_histograms(family.samples, begun_ns, now_ns)]
            yield Metric(family.name, family.documentation, unit, Histogram(points, CUMULATIVE))
            continue
        counts = family.type == "counter"
        numbers = [
            NumberDataPoint(dict(one.labels), begun_ns if counts else 0, now_ns, float(one.value))
            for one in family.samples
            if not math.isnan(one.value)
        ]
        data = Sum(numbers, CUMULATIVE, is_monotonic=True) if counts else Gauge(numbers)
        yield Metric(family.name, family.documentation, unit, data)


def _histograms(
    samples: Iterable[Sample], begun_ns: int, now_ns: int
) -> Iterator[HistogramDataPoint]:
    """Make a point of the samples of each set of labels: cumulative counts become those of the
    cells.
    """
    buckets: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for one in samples:
        labels = tuple((name, value) for name, value in one.labels.items() if name != "le")
        if one.name.endswith("_bucket"):
            buckets.setdefault(labels, {})[float(one.labels["le"])] = one.value
        elif one.name.endswith("_sum"):
            sums[labels] = one.value
    for labels, found in buckets.items():
        bounds = sorted(found)
        below = [0, *(int(found[bound]) for bound in bounds)]
        counts = [high - low for low, high in pairwise(below)]
        yield HistogramDataPoint(
            attributes=dict(labels),
            start_time_unix_nano=begun_ns,
            time_unix_nano=now_ns,
            count=below[-1],
            sum=sums.get(labels, 0.0),
            bucket_counts=counts,
            explicit_bounds=[bound for bound in bounds if bound != float("inf")],
            min=None,  # type: ignore[arg-type]  # not known, which the form allows
            max=None,  # type: ignore[arg-type]  # as above
        )


def _interval_ms() -> float:
    """Return how often (ms) metrics are sent."""
    try:
        found = float(os.environ.get(INTERVAL, "") or INTERVAL_MS)
    except ValueError:
        found = INTERVAL_MS
    return found if found > 0 else INTERVAL_MS
