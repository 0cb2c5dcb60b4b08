"""`driftgauge worker`."""

import gc
import os

import click

from driftgauge.shared.local.finding import located_settings


@click.command()
def worker() -> None:
    """Count and judge: the log in, alerts and reports out. Start any number of them."""
    from driftgauge.consumer.worker import Worker
    from driftgauge.shared.otel.beginning import begin
    from driftgauge.shared.telemetry import configure_logging

    settings = located_settings()
    configure_logging(settings.log_level)
    telemetry = begin(os.environ, "driftgauge-worker")
    running = Worker(settings, None if telemetry is None else telemetry.tracing)
    running.stop_on_signals()
    # events are acyclic: at the default, collecting costs a third of the decoding
    gc.set_threshold(100_000, 20, 100)
    try:
        running.run()
    finally:
        if telemetry is not None:
            telemetry.close()
