"""The client: an application logs its predictions to Driftgauge's API, with the standard library
alone.

    from driftgauge.client import Monitor

    monitor = Monitor("http://localhost:8000", "steel", spool="/var/lib/myapp/monitor")
    monitor.log({"CO2": 0.02, "WeekStatus": "Weekday"}, prediction=41.7)

Logging never raises and never waits for the network. docs/client.md tells all of it.
"""

from typing import TYPE_CHECKING

from driftgauge.client.monitor import Monitor

if TYPE_CHECKING:
    from driftgauge.client.aio import AsyncMonitor

__all__ = ["AsyncMonitor", "Monitor"]


def __getattr__(name: str) -> object:
    """Import the monitor for asyncio when it is asked for: few need it, and asyncio takes long."""
    if name != "AsyncMonitor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from driftgauge.client.aio import AsyncMonitor

    return AsyncMonitor
