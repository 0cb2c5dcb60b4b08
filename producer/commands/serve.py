"""`driftgauge serve`."""

import logging

import click

from shared.settings import read_settings


@click.command()
@click.option("--host", help="Address to listen on.  [default: DRIFTGAUGE_HOST, 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [default: DRIFTGAUGE_PORT, 8000]")
@click.option("--insecure", is_flag=True, help="Allow an address that other machines can reach without keys.")
def serve(host: str | None, port: int | None, *, insecure: bool) -> None:
    """Serve the API: predictions in, events out."""
    from producer.server import serve as run  # loads the models' libraries

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    run(read_settings(host=host, port=port), insecure=insecure)
