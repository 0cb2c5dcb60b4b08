"""A condition in SQL: one expression over the columns of a row, and nothing else."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from driftgauge.shared.errors import BadData
from driftgauge.shared.extras import needs

BEFORE: Final = "SELECT ("
AFTER: Final = "\n)"
LONGEST: Final = 4000
"""Most characters of a condition."""
NEAR: Final = 20
"""Characters that are shown of the place of a fault."""


@dataclass(frozen=True)
class Condition:
    """A condition that is one expression over a row.

    Parameters
    ----------
    text
        As it was written.
    columns
        Names of the columns that it is about, in lower case.
    """

    text: str
    columns: frozenset[str]

    @property
    def sql(self) -> str:
        """The condition as SQL that is true or false of each row, never null."""
        return f"coalesce(CAST(({self.text}{AFTER} AS BOOLEAN), false)"


def checked(condition: str) -> Condition:
    """Check that a condition is one expression over a row.

    Raises
    ------
    BadData
        If it is something else; the message says where.
    NotInstalled
        If DuckDB is absent.
    """
    if not condition.strip():
        raise BadData("The condition is empty; write one such as \"region = 'north'\".")
    if len(condition) > LONGEST or "\0" in condition:
        raise BadData(f"The condition must be text of at most {LONGEST:,} characters.")
    parsed = _parsed(BEFORE + condition + AFTER)
    if parsed.get("error") and parsed.get("error_type") != "not implemented":
        raise _fault(condition, str(parsed["error_message"]), parsed.get("position"))
    statements = parsed.get("statements", ())
    node = statements[0]["node"] if len(statements) == 1 else {}
    alone = (
        node.get("type") == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and node["where_clause"] is None
        and not node["modifiers"]
        and not node["group_expressions"]
        and not node["cte_map"]["map"]
        and all(node[part] is None for part in ("having", "qualify", "sample"))
    )
    if not alone:
        raise BadData(
            f"The condition must be one expression, such as \"region = 'north' and age < 30\"; "
            f"{condition!r} is more than that."
        )
    for one in _nodes(node["select_list"][0]):
        if one.get("class") in {"SUBQUERY", "WINDOW", "STAR"}:
            raise _fault(
                condition,
                f"a {one['class'].lower()} cannot be in a condition on one row",
                one.get("query_location"),
            )
    return Condition(
        condition,
        frozenset(
            str(one["column_names"][-1]).casefold()
            for one in _nodes(node["select_list"][0])
            if one.get("class") == "COLUMN_REF"
        ),
    )


def _parsed(sql: str) -> dict[str, Any]:
    """Return what DuckDB's parser makes of a query, which is not run."""
    with needs("query"):
        import duckdb
    base = duckdb.connect()
    try:
        base.execute("SET enable_external_access = false")
        found = base.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    except duckdb.Error as error:
        return {"error": True, "error_message": str(error)}
    finally:
        base.close()
    parsed: dict[str, Any] = json.loads(found[0]) if found else {}
    return parsed


def _fault(condition: str, said: str, position: object) -> BadData:
    """Say what is wrong, and where in the condition."""
    where = ""
    if isinstance(position, int | str) and str(position).isdigit():
        place = int(position) - len(BEFORE)
        if 0 <= place < len(condition):
            where = f" at character {place + 1}: {condition[place : place + NEAR]!r}"
        elif len(condition) <= place <= len(condition) + len(AFTER):
            where = " at its end"
    return BadData(f"The condition cannot be used: {said}{where}.")


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of a parsed expression."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
