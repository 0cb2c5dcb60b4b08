"""Erasing rows from an archive: by ids, with what belongs to them, and refused events by what they
hold, since of many no id can be read.

The files that hold such rows are written anew without them, and what was erased is written into the
manifests, without a value of it. Then the archive is read again, to see that nothing is left. The
record of the whole is another file (erasures.py).
"""

import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from driftgauge.shared.archive.manifest import KINDS, NAME, Erasure, Kind, day_folder
from driftgauge.shared.archive.pruning import Day, days, rewrite
from driftgauge.shared.archive.scan import DAMAGE, Range, is_damaged, read_file, scan
from driftgauge.shared.archive.store import Store
from driftgauge.shared.archive.upkeep.tending import sweep
from driftgauge.shared.archive.writing import change_manifest
from driftgauge.shared.errors import BadData

ATTEMPTS: Final = 3
"""Attempts until nothing is left: files may come meanwhile."""
ERASED: Final = tuple(kind for kind in KINDS if kind != "panes")
"""Kinds of rows that can be a person's; panes are counts."""
SAID: Final[Mapping[Kind, tuple[str, ...]]] = {
    "refused": ("reason", "text"),
    "incidents": ("headline", "effect", "advice", "segment", "alerts"),
}
"""Columns with words, in which a person's values can stand."""


class Wanted:
    """Which rows are to go.

    Parameters
    ----------
    ids
        Ids of predictions: what has one of them goes, and refused events that name one and whose
        own id cannot be read.
    texts
        Refused events, and transitions of incidents, that hold one of these go.
    """

    def __init__(self, ids: Collection[str], texts: Collection[str] = ()) -> None:
        self.ids = frozenset(ids)
        self._ids = pa.array(sorted(ids), pa.string())
        self._names = {one for name in ids for one in spelled(name)}
        self._texts = {one for text in texts for one in spelled(text)}

    def among(self, kind: Kind, rows: Any) -> Any:
        """Tell for each row of a kind whether it is to go."""
        if kind not in SAID:
            return pc.is_in(rows["id"], value_set=self._ids)
        columns = [rows[name].to_pylist() for name in looked_into(kind)]
        held = [
            self.goes(name, "\n".join(_texts(said))) for name, *said in zip(*columns, strict=True)
        ]
        return pa.array(held, pa.bool_())

    def goes(self, event_id: str | None, said: str) -> bool:
        """Tell whether what says something is to go: by its words, and by its id, or the ids among
        its words if its own cannot be read.
        """
        if any(text in said for text in self._texts):
            return True
        if event_id is not None:
            return event_id in self.ids
        return any(
            name in said and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said)
            for name in self._names
        )


def looked_into(kind: Kind) -> tuple[str, ...]:
    """Return the columns by which it is seen whether a row is to go."""
    return ("id", *SAID.get(kind, ()))


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in a value, however deep they lie."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def spelled(text: str) -> set[str]:
    r"""Return a text as it may stand in JSON.

    Examples
    --------
    >>> sorted(spelled("Zoë"))
    ['Zo\\u00eb', 'Zoë']
    """
    return {text, *(json.dumps(text, ensure_ascii=one)[1:-1] for one in (True, False))}


def erase(
    store: Store,
    model: str,
    wanted: Wanted,
    reason: str,
    chosen_by: str,
    told: Callable[[str], None],
) -> dict[Kind, int]:
    """Erase rows of all kinds; return how many of each are gone.

    Parameters
    ----------
    reason, chosen_by
        What the manifests keep of it; they must name no value.
    told
        Function that is told of each file that was written anew.

    Raises
    ------
    BadData
        If a file cannot be read, or rows are left at the end: they may still be there.
    OSError
        If the archive does not answer.
    """
    gone: dict[Kind, int] = dict.fromkeys(ERASED, 0)
    for attempt in range(1, ATTEMPTS + 1):
        for kind in ERASED:
            for day in days(store, model, kind):
                gone[kind] += _erase_day(store, model, day, wanted, reason, chosen_by, told)
        try:
            left = _left(store, model, wanted)
        except BadData:  # a file that another process has written anew in between is gone
            if attempt == ATTEMPTS:
                raise
            left = True
        if not left:
            for kind in ERASED:  # files that wait to be removed hold such rows too
                for day in days(store, model, kind):
                    sweep(store, model, day, before=None)
            _check_strangers(store, model, wanted)
            return gone
    raise BadData(
        f"Some of the rows are still in {store.where()}: files change all the time. Try again."
    )


def _erase_day(
    store: Store,
    model: str,
    day: Day,
    wanted: Wanted,
    reason: str,
    chosen_by: str,
    told: Callable[[str], None],
) -> int:
    gone = 0
    for file in day.manifest.files:
        try:
            rows = rewrite(
                store, model, day, file, lambda rows: pc.invert(wanted.among(day.kind, rows))
            )
        except DAMAGE as error:
            if not is_damaged(error):
                raise
            raise BadData(
                f"{file.name} of {day.date} is damaged, so it may hold such rows: {error}. Restore "
                f"it from a copy, or remove it."
            ) from error
        if rows:
            gone += rows
            told(f"{day.kind} of {day.date}: {rows:,} of {file.rows:,} rows of a file are gone.")
    if gone:
        erasure = Erasure(int(time.time() * 1000), gone, reason, chosen_by)
        change_manifest(
            store,
            day.kind,
            model,
            day.date,
            lambda one: msgspec.structs.replace(one, erasures=(*one.erasures, erasure)),
        )
    return gone


def _left(store: Store, model: str, wanted: Wanted) -> bool:
    """Read all rows again; tell whether any of those is there."""

    def fail(said: str) -> None:
        raise BadData(f"It cannot be seen whether all is erased: {said}")

    return any(
        pc.any(wanted.among(kind, batch)).as_py()
        for kind in ERASED
        for batch in scan(store, kind, Range(model), fail, looked_into(kind))
    )


def _check_strangers(store: Store, model: str, wanted: Wanted) -> None:
    """Look into files that no manifest names: those of a process that was killed.

    Raises
    ------
    BadData
        If one has such rows, or cannot be read.
    """
    for kind in ERASED:
        known = {
            f"{day_folder(kind, model, day.date)}/{file.name}"
            for day in days(store, model, kind)
            for file in day.manifest.files
        }
        for path in store.find(f"{kind}/model={model}"):
            if path in known or path.endswith(f"/{NAME}"):
                continue
            try:
                rows = read_file(store, path, looked_into(kind))
                held = pc.any(wanted.among(kind, rows)).as_py()
            except FileNotFoundError:  # removed in between, by who wrote it
                continue
            except (pa.ArrowException, KeyError):  # it is told below
                held = True
            if held:
                raise BadData(
                    f"{store.where(path)} is in no manifest, and holds or may hold such rows. "
                    f"Remove it, and run this again."
                )
