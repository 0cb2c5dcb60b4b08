"""Clients that are publishers of their own: they number their events and labels for each partition,
so that the worker drops what they send again, however late, and sees what is lost on the way.

A request names its publisher, its model, and the number of partitions by which it has numbered;
each item carries its number, and its id says to which partition it belongs. What is refused has
used its number too, which is declared void. docs/exactly-once.md has the protocol.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from driftgauge.producer.http.problems import Problem, invalid
from driftgauge.producer.intake.documents import is_flag, is_id
from driftgauge.shared.contract.counters import CLIENT
from driftgauge.shared.contract.events import LAST_NUMBER, Void, partition_of
from driftgauge.shared.reference.schema import FieldError, pointer
from driftgauge.shared.versions.manifest import Manifest

NAME: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
HOUR_S: Final = 3600
MOST_NEW: Final = 5000
"""Most new publishers of a model that one API process takes within an hour: each is remembered for
days.
"""
PARAMETERS: Final = (
    {
        "name": "model",
        "in": "query",
        "required": False,
        "schema": {"type": "string"},
        "description": "The model of what names none; needed when there are several.",
    },
    {
        "name": "publisher",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "description": "Name of a client that numbers what it sends, as driftgauge.client does: "
        "each item has its `number`, and what is sent again under the same one counts once.",
    },
    {
        "name": "partitions",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1},
        "description": "Partitions of the model by which the publisher numbers; another number is "
        "answered 409 with the right one.",
    },
)
NUMBER: Final = {
    "type": "integer",
    "minimum": 1,
    "description": "With a publisher only: the number that it gave, counted from 1 in each "
    "partition, which is CRC-32 of the prediction's id modulo the partitions.",
}


def is_number(value: object) -> str | None:
    """Say what is wrong with a number; None if nothing is."""
    fits = type(value) is int and 0 < value <= LAST_NUMBER
    return None if fits else "must be an integer between 1 and 2^63 - 1"


CHECKS: Final = {"number": is_number, "own_id": is_flag}
"""Checks of the fields that items have when a publisher numbers them."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """How the items of a request are numbered.

    Parameters
    ----------
    publisher
        Name of the publisher in the log.
    partitions
        Partitions of the model.
    """

    publisher: bytes
    model: str
    partitions: int

    def partition(self, prediction_id: str) -> int:
        """Return the partition of a prediction or label."""
        return partition_of(prediction_id, self.partitions)

    def faults(self, item: Mapping[str, object], id_field: str, at: str) -> list[FieldError]:
        """Return what a numbered item lacks, or has too much."""
        absent = [name for name in (id_field, "number") if item.get(name) is None]
        found = [FieldError(pointer(at, name), "is missing", "missing") for name in absent]
        named = item.get("model")
        if isinstance(named, str) and named != self.model:
            words = f"must be {self.model}, the model that the publisher numbers for"
            found.append(FieldError(pointer(at, "model"), words))
        return found

    def place(self, item: object, id_field: str) -> tuple[int, int] | None:
        """Return partition and number of a refused item; None if it does not say."""
        if not isinstance(item, dict) or is_id(item.get(id_field)) is not None:
            return None
        number = item.get("number")
        if not isinstance(number, int) or is_number(number) is not None:
            return None
        return self.partition(item[id_field]), number


def voids(places: Iterable[tuple[int, int]]) -> list[tuple[int, int, Void]]:
    """Return one void for each partition whose numbers were refused, as it is published.

    Examples
    --------
    >>> voids([(0, 8), (1, 3), (0, 7)])
    [(0, 7, Void(spans=[(7, 8)])), (1, 3, Void(spans=[(3, 3)]))]
    """
    spans: dict[int, list[tuple[int, int]]] = {}
    for partition, number in sorted(set(places)):
        runs = spans.setdefault(partition, [])
        if runs and runs[-1][1] == number - 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return [(partition, runs[0][0], Void(runs)) for partition, runs in spans.items()]


class Clients:
    """The publishers that clients are, as one process meets them.

    Parameters
    ----------
    find
        Function that finds the manifest of the production version of a model, or of the default
        one; it raises what is answered if there is none.
    """

    def __init__(self, find: Callable[[str | None], Manifest]) -> None:
        self._find = find
        self._hour = 0
        self._met: dict[str, set[str]] = {}
        self._before: dict[str, set[str]] = {}

    def numbering(self, asked: Mapping[str, str]) -> Numbering | None:
        """Read how a request is numbered, from its query; None if it is not.

        Raises
        ------
        Problem
            422 for a name or number that cannot be used, 409 for another number of partitions, 429
            if too many publishers are new, 404 or 503 for the model.
        """
        name = asked.get("publisher")
        if name is None:
            return None
        manifest = self._find(asked.get("model"))
        check_name(name)
        if asked.get("partitions") != str(manifest.partitions):
            raise wrong_partitions(manifest)
        self._admit(manifest.model, name)
        return Numbering(CLIENT + name.encode(), manifest.model, manifest.partitions)

    def _admit(self, model: str, name: str) -> None:
        """Note a publisher, unless too many of this hour are new."""
        hour = int(time.monotonic()) // HOUR_S
        if hour != self._hour:
            self._before = self._met if hour == self._hour + 1 else {}
            self._met, self._hour = {}, hour
        met = self._met.setdefault(model, set())
        if name in met:
            return
        if len(met) >= MOST_NEW and name not in self._before.get(model, ()):
            raise Problem(
                429,
                f"More than {MOST_NEW} publishers of {model} were new within an hour, and each is "
                "remembered for days: let processes live longer, or send without a publisher.",
                (),
                {"Retry-After": "60"},
            )
        met.add(name)


def check_name(name: str) -> None:
    """Check the name of a publisher.

    Raises
    ------
    Problem
        422 if it has another form.
    """
    if not NAME.fullmatch(name):
        words = "must be 8 to 64 letters, digits, dots, hyphens or underscores"
        raise invalid([FieldError("publisher", words)])


def wrong_partitions(manifest: Manifest) -> Problem:
    """Make the answer to a request that is numbered by another number of partitions."""
    partitions = manifest.partitions
    return Problem(
        409,
        f"{manifest.model} has {partitions} partitions: number for these, under a new publisher if "
        f"anything was taken before, and say partitions={partitions}.",
        members={"partitions": partitions},
    )


def spans_fault(gaps: object, partitions: int, most: int) -> str | None:
    """Say what is wrong with a list of gaps: partition, first and last number of each; None if
    nothing is.

    Examples
    --------
    >>> spans_fault([[0, 3, 9]], 1, 10), spans_fault([[0, 9, 3]], 1, 10)
    (None, 'each must be a partition from 0 to 0, a first and a last number')
    """
    if not isinstance(gaps, list) or not gaps or len(gaps) > most:
        return f"must be a list of 1 to {most} gaps"
    words = f"each must be a partition from 0 to {partitions - 1}, a first and a last number"
    return None if all(_is_gap(gap, partitions) for gap in gaps) else words


def _is_gap(gap: object, partitions: int) -> bool:
    if not isinstance(gap, list) or len(gap) != 3 or {type(part) for part in gap} != {int}:
        return False
    partition, first, last = map(int, gap)
    return 0 <= partition < partitions and 0 < first <= last <= LAST_NUMBER


def voids_of(gaps: Sequence[Sequence[int]]) -> list[tuple[int, int, Void]]:
    """Return the voids of gaps, as they are published."""
    return [(partition, first, Void([(first, last)])) for partition, first, last in gaps]
