"""What Prometheus reads, from the API's table of metrics."""

from docs.making.prose import meant, plain, table
from driftgauge.producer.watching.metrics import HELP


def page() -> str:
    """Write a table of the metrics."""
    rows = [(f"`{name}`", _kind(name), plain(meant(said, name))) for name, said in HELP.items()]
    return table(["Metric", "Kind", "Meaning"], rows)


def _kind(name: str) -> str:
    return (
        "counter"
        if name.endswith("_total")
        else "histogram"
        if name.endswith("duration_seconds")
        else "gauge"
    )
