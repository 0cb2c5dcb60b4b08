"""A condition is one expression, and what is none is refused with its place."""

import os

import pytest

from driftgauge.consumer.slicing.condition import checked
from driftgauge.shared.errors import BadData

if not os.environ.get("CI"):
    pytest.importorskip("duckdb", reason="no duckdb: pip install -e '.[query]'")


def test_a_condition_names_its_columns() -> None:
    """Whatever it is written like: columns are known, and texts are none."""
    found = checked("Region = 'age' and \"Odd Name\" < 30 -- young")
    assert found.columns == {"region", "odd name"}


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("", "is empty"),
        ("x; DROP TABLE joined", "at character 2: '; DROP TABLE joined'"),
        ("x > 1; SELECT 1", "at character 6"),
        ("age <", "at its end"),
        ("x > 1) --", "at its end"),
        ("true), (false", "one expression"),
        ("true) UNION SELECT (true", "one expression"),
        ("true) FROM labels WHERE (true", "one expression"),
        ("true) ORDER BY (true", "one expression"),
        ("true) LIMIT (1", "one expression"),
        ("true); DROP TABLE joined; SELECT (true", "one expression"),
        ("x IN (SELECT 1)", "subquery cannot be in a condition on one row at character 6"),
        ("exists(FROM read_csv('/etc/passwd'))", "subquery cannot be"),
        ("row_number() OVER () = 1", "window cannot be"),
        ("x" * 4001, "at most 4,000 characters"),
    ],
)
def test_what_is_no_condition_is_refused(condition: str, said: str) -> None:
    """Nothing but an expression over a row gets to the archive, and the place of the fault is
    said.
    """
    with pytest.raises(BadData) as caught:
        checked(condition)
    assert said in str(caught.value)
