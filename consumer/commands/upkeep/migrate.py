"""`driftgauge migrate`."""

import sys
from typing import Final

import click
import msgspec

from driftgauge.consumer.commands.upkeep.opened import opened
from driftgauge.shared.errors import BadData, OwnershipLost

WORDS: Final = {"old": "would be migrated", "migrated": "was migrated"}


@click.command()
@click.option("--dry-run", is_flag=True, help="Try it in memory, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def migrate(*, dry_run: bool, as_json: bool) -> None:
    """Bring what an earlier release left in Redis to the formats of this one.

    Each checkpoint is migrated under its lease, in one transaction. Workers of this release do the
    same when they start, so it is needed only to know before. Exit code 75: a worker has a lease;
    65: something is of a newer release, too old, or damaged.
    """
    from driftgauge.consumer.stages.migrating import migrate_all
    from driftgauge.shared.contract.keys import FORMAT

    newest = FORMAT.decode()
    with opened() as (settings, nodes, keys):
        found = list(migrate_all(nodes, keys, settings.lease_ms, dry_run=dry_run))
    if as_json:
        click.echo(msgspec.json.encode([one._asdict() for one in found]))
    else:
        for one in found:
            if one.outcome in WORDS:
                click.echo(f"{one.key}: {WORDS[one.outcome]} from format {one.form} to {newest}")
            elif one.words:
                click.echo(f"{one.key}: {one.words}", err=True)
        current = sum(one.outcome == "current" for one in found)
        click.echo(f"{current} of {len(found)} checkpoints had format {newest} already.")
    outcomes = {one.outcome for one in found}
    if "refused" in outcomes:
        sys.exit(BadData.exit_code)
    if "held" in outcomes:
        sys.exit(OwnershipLost.exit_code)
