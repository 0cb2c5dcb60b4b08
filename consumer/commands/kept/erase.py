"""`driftgauge erase`."""

import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

import click
import msgspec

from driftgauge.consumer.commands.connection import connected
from driftgauge.consumer.commands.kept.opened import opened_archive, require_model
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData, ConfigurationError, RedisUnavailable
from driftgauge.shared.wording.times import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftgauge.consumer.erasing.copies import PartitionCopies
    from driftgauge.shared.archive.store import Store
    from driftgauge.shared.connections.nodes import Nodes
    from driftgauge.shared.settings import Settings

LOOKED_BACK_DAYS: Final = 400
"""Days for which what waits for labels is looked for, whatever the workers' setting is."""
WORDS: Final = {
    "log": "entries of the log",
    "reasons": "notes why events were refused",
    "dead_letters": "dead letters",
    "waiting": "that waited for a label or a prediction",
}
"""What is erased from Redis, in words."""
LOOK_S: Final = 0.5
"""Pause (s) between looks at how far the archive is."""


@click.command()
@click.argument("model")
@click.option("--id", "ids", multiple=True, help="A prediction's id; may be given several times.")
@click.option(
    "--where",
    metavar="SQL",
    help="A condition on the columns of the predictions; needs the extra query.",
)
@click.option(
    "--text",
    "texts",
    multiple=True,
    help="Erase refused events and incidents that hold it; may be given several times.",
)
@click.option("--reason", required=True, help="Why, for the record; it must name nobody.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Longest time to wait until what is in the log by now is archived.  [a minute and twice "
    "DRIFTGAUGE_ARCHIVE_SECONDS]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def erase(
    model: str,
    ids: tuple[str, ...],
    where: str | None,
    texts: tuple[str, ...],
    reason: str,
    wait: float | None,
    *,
    as_json: bool,
) -> None:
    """Erase predictions of MODEL and what belongs to them from the archive and from Redis, and see
    that they are gone.

    It waits until what is in the log is archived, erases, and reads all of it again. What comes
    later, such as out of a spool, is not known to it. It can be run again.
    """
    given = {"ids": ids, "a condition": where, "texts": texts}
    if (ids and where is not None) or not any(given.values()):
        raise ConfigurationError("Give either --id or --where, or --text, which goes with both.")
    if "" in texts:
        raise ConfigurationError("--text is empty: every event holds that.")
    store = opened_archive()
    require_model(store, model)
    erasing = _Erasing(store, model, reason, [name for name, value in given.items() if value])
    try:
        settings, nodes = connected()
    except RedisUnavailable as error:
        _tell(erasing.run([], ids, where, texts), as_json=as_json)
        raise RedisUnavailable(
            f"{error} What the archive had is erased, but nothing is known of the log, which may "
            f"hold such rows and bring them to the archive: run this again when Redis answers."
        ) from error
    with closing(nodes):
        copies = _copies(settings, nodes, model)
        behind = _wait(copies, 60 + 2 * settings.archive_seconds if wait is None else wait)
        _tell(erasing.run(copies, ids, where, texts), as_json=as_json)
    if behind:
        raise BadData(
            f"{behind} What came later may hold such rows: run this again when that is mended."
        )


class _Erasing:
    """Erases from an archive and from Redis, with a record."""

    def __init__(self, store: "Store", model: str, reason: str, chosen_by: "Sequence[str]") -> None:
        self._store, self._model = store, model
        self._reason, self._chosen_by = reason, " and ".join(chosen_by)

    def run(
        self,
        copies: "Sequence[PartitionCopies]",
        ids: "Sequence[str]",
        where: str | None,
        texts: "Sequence[str]",
    ) -> dict[str, int]:
        """Erase; return how much it was, by what held it."""
        from driftgauge.consumer.erasing.copies import Copies
        from driftgauge.shared.archive.erasing import Wanted
        from driftgauge.shared.archive.erasing import erase as take_out
        from driftgauge.shared.archive.erasures import begin, finish

        chosen = set(ids) if where is None else _chosen(self._store, self._model, where)
        wanted = Wanted(chosen, texts)
        record = begin(self._store, self._model, self._reason, self._chosen_by)
        files = take_out(
            self._store,
            self._model,
            wanted,
            self._reason,
            self._chosen_by,
            lambda said: click.echo(said, err=True),
        )
        in_redis = sum((one.erase(wanted) for one in copies), Copies())
        gone = {str(kind): rows for kind, rows in files.items()} | msgspec.structs.asdict(in_redis)
        finish(self._store, self._model, record, gone)
        return gone


def _tell(gone: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(gone))
        return
    said = ", ".join(f"{number:,} {WORDS.get(name, name)}" for name, number in gone.items())
    click.echo(f"Erased: {said}. None of them is left.")


def _copies(settings: "Settings", nodes: "Nodes", model: str) -> "list[PartitionCopies]":
    """Return the copies of each partition; none of a model that Redis does not have."""
    from driftgauge.consumer.erasing.copies import PartitionCopies
    from driftgauge.consumer.running.settled import counting_policy
    from driftgauge.consumer.stages.stage import raw_reads
    from driftgauge.consumer.stages.versions import shapes

    keys = Keys(settings.key_prefix)
    found = shapes(nodes.shared, keys, [model])
    if not found:
        return []
    shape = found[model]
    if shape is None:
        raise BadData(
            f"The version of {model} in {keys.versions(model)} cannot be read, so its log is not "
            f"found. Publish it again: start an API with a registry that has it."
        )
    salted = keys.salted(shape.salts)
    days = max(LOOKED_BACK_DAYS, counting_policy(settings, 0, shape.partitions).label_wait_days)
    return [
        PartitionCopies(
            raw_reads(nodes.shared(salted.log(model, place))), salted, model, place, days
        )
        for place in range(shape.partitions)
    ]


def _wait(copies: "Sequence[PartitionCopies]", seconds: float) -> str:
    """Wait until what is in the logs was read by all; return who was too slow, if somebody was."""
    ends, told = time.monotonic() + seconds, False
    for partition, one in enumerate(copies):
        while (behind := one.behind()) is not None:
            if time.monotonic() >= ends:
                reached = behind.entry.ms
                upto = f"only up to {moment(reached)}" if reached else "not at all"
                return f"{behind.reader} has read the log of partition {partition} {upto}."
            if not told:
                click.echo("Waiting until what is in the log is archived.", err=True)
                told = True
            time.sleep(LOOK_S)
    return ""


def _chosen(store: "Store", model: str, where: str) -> set[str]:
    """Return the ids of the predictions that fulfil a condition."""
    from driftgauge.shared.archive.querying import Query
    from driftgauge.shared.archive.scan import Range

    def fail(said: str) -> None:
        raise BadData(f"It cannot be seen which rows are to go: {said}")

    with closing(Query(store, Range(model), fail, memory_mb=1024, seconds=3600)) as asked:
        rows = asked.run(f"SELECT id FROM predictions WHERE ({where}\n)")  # noqa: S608  it is the user's, and reaches the archive alone
        return {one for batch in rows for one in batch.column("id").to_pylist()}
