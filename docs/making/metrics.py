"""What Prometheus reads, from the tables of the API's and of the worker's metrics."""

from collections.abc import Iterable

from docs.making.prose import meant, plain, table
from driftgauge.consumer.metrics.table import WORKER
from driftgauge.producer.metrics.table import PIPELINE, PROCESS, WINDOWS
from driftgauge.shared.local.usage import USAGE
from driftgauge.shared.metrics.definition import Definition


def process() -> str:
    """Write the table of the metrics of an API process."""
    return _written(PROCESS.values())


def pipeline() -> str:
    """Write the table of the metrics of the pipeline."""
    return _written(PIPELINE.values())


def windows() -> str:
    """Write the table of the metrics of the judged windows."""
    return _written(WINDOWS.values())


def worker() -> str:
    """Write the table of the metrics of a worker."""
    return _written(WORKER.values())


def usage() -> str:
    """Write the table of what every process tells of itself."""
    return _written(USAGE.values())


def _written(metrics: Iterable[Definition]) -> str:
    rows = [
        (
            f"`{one.name}`",
            one.kind,
            ", ".join(f"`{label}`" for label in one.labels),
            plain(meant(one.meaning, one.name)),
        )
        for one in metrics
    ]
    return table(["Metric", "Kind", "Labels", "Meaning"], rows)
