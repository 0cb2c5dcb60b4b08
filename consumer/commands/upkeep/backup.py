"""`driftgauge backup`."""

from pathlib import Path

import click
import msgspec

from driftgauge.consumer.commands.upkeep.opened import opened, registry_folder


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--no-registry", is_flag=True, help="Leave the registry folder out.")
@click.option(
    "--whole-logs",
    is_flag=True,
    help="Keep events too that were counted already and are only kept for their retention.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def backup(file: Path, *, no_registry: bool, whole_logs: bool, as_json: bool) -> None:
    """Write all that Redis and the registry folder keep to FILE, while API and workers go on.

    Every partition, and every model's judging, is as of one commit. FILE is a new file that only
    its user may read; `driftgauge restore` puts it back.
    """
    from driftgauge.shared.backup.backing_up import back_up

    with opened() as (settings, nodes, keys):
        registry = None if no_registry else registry_folder(settings)
        saved = back_up(
            nodes,
            keys,
            file,
            registry=registry,
            whole_logs=whole_logs,
            url=settings.redis_url,
        )
    for key in saved.left_out:
        click.echo(f"Left out: {key} is of a kind that Driftgauge does not use.", err=True)
    if as_json:
        told = {
            "file": str(file.absolute()),
            "bytes": saved.bytes,
            "keys": saved.keys,
            "entries": saved.entries,
            "files": saved.files,
            "left_out": saved.left_out,
        }
        click.echo(msgspec.json.encode(told))
        return
    click.echo(
        f"{file.absolute()}: {saved.keys:,} keys with {saved.entries:,} entries of streams, "
        f"{saved.files:,} files of the registry, {saved.bytes:,} bytes."
    )
