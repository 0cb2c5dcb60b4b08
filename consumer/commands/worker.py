"""`driftgauge worker`."""

import click

from shared.settings import read_settings


@click.command()
def worker() -> None:
    """Count and judge: the log in, alerts and reports out. Start any number of them."""
    from consumer.worker import Worker
    from shared.telemetry import configure_logging

    settings = read_settings()
    configure_logging(settings.log_level)
    running = Worker(settings)
    running.stop_on_signals()
    running.run()
