"""`driftgauge worker`."""

import gc
import os

import click

from driftgauge.shared.local.finding import located_settings


@click.command()
@click.option(
    "--host",
    help="Address that metrics and health are told on.  [default: DRIFTGAUGE_WORKER_HOST, "
    "127.0.0.1]",
)
@click.option(
    "--port",
    type=int,
    help="Port that they are told on; 0 tells nothing.  [default: DRIFTGAUGE_WORKER_PORT, 0]",
)
@click.option(
    "--insecure", is_flag=True, help="Allow an address that other machines can reach without keys."
)
def worker(host: str | None, port: int | None, *, insecure: bool) -> None:
    """Count and judge: the log in, alerts and reports out. Start any number of them."""
    from driftgauge.consumer.metrics.opening import open_port
    from driftgauge.consumer.worker import Worker
    from driftgauge.shared.otel.beginning import begin
    from driftgauge.shared.telemetry import configure_logging

    settings = located_settings(worker_host=host, worker_port=port)
    configure_logging(settings.log_level)
    telemetry = begin(os.environ, "driftgauge-worker")
    running = Worker(settings, None if telemetry is None else telemetry.tracing)
    told = open_port(settings, running.standing, insecure=insecure)
    if telemetry is not None:
        telemetry.push(lambda: running.standing().exposed().written("text").encode())
    running.stop_on_signals()
    # events are acyclic: at the default, collecting costs a third of the decoding
    gc.set_threshold(100_000, 20, 100)
    try:
        running.run()
    finally:
        if told is not None:
            told.close()
        if telemetry is not None:
            telemetry.close()
