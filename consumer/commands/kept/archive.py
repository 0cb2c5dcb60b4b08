"""`driftgauge archive`: what the archive holds, and whether it is as it was written."""

import click
import msgspec

from driftgauge.consumer.commands.kept.opened import models_of, opened_archive, require_model
from driftgauge.shared.errors import BadData


@click.group()
def archive() -> None:
    """Look after the archive of predictions, labels and refused events."""


@archive.command()
@click.argument("model", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(model: str | None, *, as_json: bool) -> None:
    """Hold every file against the checksum in its manifest; of MODEL, or of all models.

    Files that were changed, are gone or are foreign are named, and the exit code is 65.
    """
    from driftgauge.shared.archive.verifying import Checked
    from driftgauge.shared.archive.verifying import verify as check

    store = opened_archive()
    if model is not None:
        require_model(store, model)
    files, rows = 0, 0
    faults: list[Checked] = []
    for name in models_of(store) if model is None else [model]:
        for found in check(store, name):
            files, rows = files + 1, rows + found.rows
            if found.fault:
                faults.append(found)
                if not as_json:
                    click.echo(f"{store.where(found.path)} {found.fault}.", err=True)
    if as_json:
        told = [{"path": one.path, "fault": one.fault} for one in faults]
        click.echo(msgspec.json.encode({"files": files, "rows": rows, "faults": told}))
    else:
        click.echo(f"{files:,} files with {rows:,} rows; {len(faults)} faults.")
    if faults:
        raise BadData(f"{len(faults)} of {files} files of the archive are not as they should be.")


@archive.command()
@click.argument("model", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def compact(model: str | None, *, as_json: bool) -> None:
    """Join the small files of each day, of MODEL or of all models, now; workers may go on.

    Workers do it by themselves for days that are over.
    """
    import time

    from driftgauge.shared.archive.manifest import KINDS
    from driftgauge.shared.archive.pruning import days
    from driftgauge.shared.archive.upkeep.compacting import compact as join

    store = opened_archive()
    if model is not None:
        require_model(store, model)
    gone = 0
    for name in models_of(store) if model is None else [model]:
        for kind in KINDS:
            for day in days(store, name, kind):
                gone += join(store, name, day, time.time_ns() // 1_000_000)
    click.echo(msgspec.json.encode({"gone": gone}) if as_json else f"{gone:,} files fewer.")
