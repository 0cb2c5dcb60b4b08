"""Parameters of a query: those that a route does not know are refused, since a filter that is
spelled wrong would otherwise return everything.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi.dependencies.models import Dependant

from driftgauge.producer.http.problems import invalid
from driftgauge.shared.reference.schema import FieldError, pointer

MOST_NAMED: Final = 20
LONGEST_NAME: Final = 64

Queries = Mapping[str, bool]
"""Parameters that a route knows, and whether each may be given several times."""


def queries_of(dependant: Dependant, described: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Return the parameters of a route: those of its endpoint's signature, and those that it reads
    by itself and describes.
    """
    found = {one.alias: _is_list(one.field_info.annotation) for one in dependant.query_params}
    for part in dependant.dependencies:
        found |= queries_of(part, ())
    for parameter in described:
        if parameter["in"] == "query":
            found[parameter["name"]] = parameter["schema"].get("type") == "array"
    return found


def check(query: bytes, known: Queries) -> None:
    """Refuse a query with a parameter that is unknown, or given twice where one value is meant.

    Raises
    ------
    Problem
        422 with all of them.

    Examples
    --------
    >>> check(b"model=a&tag=x&tag=y", {"model": False, "tag": True})
    >>> check(b"modle=a", {"model": False})
    Traceback (most recent call last):
    driftgauge.producer.http.problems.Problem: 1 field of the request cannot be used; nothing was \
done with it.
    """
    given = Counter(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    wrong = [(name, "is unknown here; " + _offer(known)) for name in given if name not in known]
    wrong += [
        (name, "is given several times; give one value")
        for name, times in given.items()
        if times > 1 and not known.get(name, True)
    ]
    if wrong:
        raise invalid(
            [
                FieldError(pointer("/query", name[:LONGEST_NAME]), fault)
                for name, fault in wrong[:MOST_NAMED]
            ]
        )


def _offer(known: Queries) -> str:
    return f"known are {', '.join(sorted(known))}" if known else "no parameter is known"


def _is_list(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) in {list, tuple, set}
