"""`driftgauge export`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import click

from driftgauge.consumer.commands.kept.opened import (
    TIME_HELP,
    opened_archive,
    require_model,
    time_of,
)
from driftgauge.shared.errors import BadData

if TYPE_CHECKING:
    from driftgauge.consumer.stages.archiving.waiting import Waiting
    from driftgauge.shared.archive.rows import Group
    from driftgauge.shared.archive.store import Store


FILTERS: Final = (
    click.option("--version", default="", help="Only of this version."),
    click.option("--least", type=float, help="Least predicted number."),
    click.option("--most", type=float, help="Largest predicted number."),
    click.option("--prediction", default="", help="A predicted category."),
    click.option(
        "--id", "ids", multiple=True, help="A prediction's id; may be given several times."
    ),
)


def _filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which predictions of a time are wanted."""
    for option in reversed(FILTERS):
        command = option(command)
    return command


@click.command()
@click.argument("model")
@click.option("--since", metavar="TIME", help=f"First time: {TIME_HELP}.")
@click.option("--until", metavar="TIME", help="Time before which they end.")
@_filtered
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    default="csv",
    show_default=True,
    help="What is written.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write to; default: standard output.",
)
@click.option("--with-log", is_flag=True, help="Also what Redis has that waits to be archived.")
def export(
    model: str,
    since: str | None,
    until: str | None,
    version: str,
    least: float | None,
    most: float | None,
    prediction: str,
    ids: tuple[str, ...],
    form: str,
    output: Path | None,
    *,
    with_log: bool,
) -> None:
    """Write every prediction of MODEL in the archive, with its label, to a file.

    The last label of a prediction counts. Memory stays small, however many there are.
    """
    from driftgauge.shared.archive import exporting
    from driftgauge.shared.archive.joining import joined
    from driftgauge.shared.archive.scan import Range

    skipped: list[str] = []

    def tell(said: str) -> None:
        skipped.append(said)
        click.echo(said, err=True)

    store = opened_archive()
    waiting = _waiting(store, model) if with_log else None
    if waiting is None:
        require_model(store, model)
    times = time_of(since, "--since"), time_of(until, "--until")
    wanted = Range(model, *times, version, least, most, prediction, ids)
    rest: Iterator[Group] = iter(())
    if waiting is not None:
        wanted, rest = replace(wanted, ends=waiting.ends), waiting.groups()
    out: Any = nullcontext(sys.stdout.buffer)
    try:
        with output.open("wb") if output is not None else out as file:
            batches = joined(store, wanted, tell, rest)
            rows = exporting.export(batches, cast("exporting.Form", form), file)
    except BrokenPipeError:  # who reads it has enough
        return
    except OSError as error:
        raise BadData(f"The export failed: {error}. What was written is not whole.") from error
    click.echo(f"{rows:,} predictions of {model}.", err=True)
    if skipped:
        raise BadData(f"{len(skipped)} files were skipped; see above. All others are exported.")


def _waiting(store: "Store", model: str) -> "Waiting":
    """Read how far a model is archived and counted.

    Raises
    ------
    RedisUnavailable
        If Redis does not answer.
    """
    from driftgauge.consumer.commands.connection import connected
    from driftgauge.consumer.stages.archiving.waiting import Waiting
    from driftgauge.shared.contract.keys import Keys

    settings, nodes = connected()
    return Waiting(store, nodes, Keys(settings.key_prefix), model)
