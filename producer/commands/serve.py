"""`driftgauge serve`."""

import click

from driftgauge.shared.local.finding import located_settings


@click.command()
@click.option("--host", help="Address to listen on.  [default: DRIFTGAUGE_HOST, 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [default: DRIFTGAUGE_PORT, 8000]")
@click.option(
    "--insecure", is_flag=True, help="Allow an address that other machines can reach without keys."
)
def serve(host: str | None, port: int | None, *, insecure: bool) -> None:
    """Serve the API: predictions in, events out."""
    from driftgauge.producer.server import serve as run  # loads the models' libraries
    from driftgauge.shared.telemetry import configure_logging

    settings = located_settings(host=host, port=port)
    configure_logging(settings.log_level)
    run(settings, insecure=insecure)
