"""The begin of traces and metrics in a process.

What cannot be done is logged with what to do, and the process goes on: no prediction may fail for
the want of a trace.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from driftgauge.shared.errors import NotInstalled
from driftgauge.shared.extras import needs
from driftgauge.shared.otel.wanted import wanted

if TYPE_CHECKING:
    from driftgauge.shared.otel.sdk import Telemetry

log = logging.getLogger("driftgauge.telemetry")


def begin(environ: Mapping[str, str], service: str) -> "Telemetry | None":
    """Begin what is wanted; None if nothing is, or if its packages are not installed.

    Parameters
    ----------
    service
        Name of the service, unless the variables give one.
    """
    asked = wanted(environ)
    for fault in asked.faults:
        log.warning("OpenTelemetry: %s", fault)
    if not (asked.traces or asked.metrics):
        return None
    try:
        with needs("otel"):
            from driftgauge.shared.otel.sdk import Telemetry
    except NotInstalled as error:
        log.warning("The OTEL_… variables ask for OpenTelemetry; going on without. %s", error)
        return None
    return Telemetry(asked, environ, service)
