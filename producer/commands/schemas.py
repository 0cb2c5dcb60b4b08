"""`driftgauge schemas`."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for asyncapi.json and schemas/NAME.json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def schemas(out: Path | None, *, as_json: bool) -> None:
    """List the kinds of messages in streams, events and webhooks, or write their JSON Schemas and
    an AsyncAPI document.
    """
    import msgspec

    from driftgauge.producer.messages.asyncapi import document
    from driftgauge.producer.messages.schemas import listed, schema_of

    kinds = listed()
    if out is not None:
        (out / "schemas").mkdir(parents=True, exist_ok=True)
        files = {f"schemas/{kind.name}": schema_of(kind.name) for kind in kinds.schemas}
        for name, found in {"asyncapi": document(), **files}.items():
            written = msgspec.json.format(msgspec.json.encode(found), indent=2)
            (out / f"{name}.json").write_bytes(written + b"\n")
    if as_json:
        click.echo(msgspec.json.encode(kinds).decode())
        return
    for kind in kinds.schemas:
        click.echo(f"{kind.name:20} {kind.title}")
