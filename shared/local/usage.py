"""What this process uses of the machine, under the names that Prometheus's clients have for it."""

from typing import Final

from prometheus_client import ProcessCollector

from driftgauge.shared.metrics.definition import counter, gauge, table
from driftgauge.shared.metrics.text import Exposition

USAGE: Final = table(
    counter("process_cpu_seconds_total", "", "Seconds of a core that the process used."),
    gauge("process_resident_memory_bytes", "", "Memory of the process that is in RAM."),
    gauge("process_virtual_memory_bytes", "", "Addresses that the process has reserved."),
    gauge("process_start_time_seconds", "", "Time at which the process started."),
    gauge("process_open_fds", "", "Open files and connections of the process."),
    gauge("process_max_fds", "", "Most of them that the system allows."),
)
"""Told by every process of ours; on Linux only."""
PROCESS: Final = frozenset({"process_start_time_seconds", "process_max_fds"})
"""Those that are of one process, and are not added up over several."""
_collector: Final = ProcessCollector(registry=None)


def usage() -> dict[str, float]:
    """Return what the process uses now, by metric; nothing where the system does not tell it."""
    families = _collector.collect()
    found = (sample for family in families for sample in family.samples)
    return {sample.name: sample.value for sample in found if sample.name in USAGE}


def add_usage(text: Exposition) -> None:
    """Add what the process uses now."""
    for name, value in usage().items():
        text.add(name, value)
