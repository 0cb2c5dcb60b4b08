"""`driftgauge restore`."""

from pathlib import Path

import click
import msgspec

from driftgauge.consumer.commands.upkeep.opened import opened, registry_folder


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--no-registry", is_flag=True, help="Leave the registry folder as it is.")
@click.option(
    "--replace",
    is_flag=True,
    help="Delete the keys of the prefix, and the models of the registry, that are there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restore(file: Path, *, no_registry: bool, replace: bool, as_json: bool) -> None:
    """Put a backup back into Redis and into the registry folder, while no API and no worker runs.

    Nothing is changed unless all of FILE is sound, of this release or an older one and of this
    prefix, and its place is empty. Redis may be of another release, or a cluster.
    """
    from driftgauge.shared.backup.restoring import restore as put_back

    with opened() as (settings, nodes, keys):
        registry = None if no_registry else registry_folder(settings)
        done = put_back(
            nodes, keys, file, registry=registry, replace=replace, url=settings.redis_url
        )
    if as_json:
        told = {
            "made": done.header.made,
            "release": done.header.release,
            "keys": done.keys,
            "entries": done.entries,
            "files": done.files,
        }
        click.echo(msgspec.json.encode(told))
        return
    click.echo(
        f"{done.keys:,} keys with {done.entries:,} entries of streams and {done.files:,} files of "
        f"the registry stand as of {done.header.made}. Start worker and API; what was published "
        f"since then and is not sent again is told as lost."
    )
