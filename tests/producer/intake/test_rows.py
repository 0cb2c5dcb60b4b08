import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.csv_rows import CsvRows
from driftgauge.producer.intake.json_rows import CHUNK, JsonRows
from driftgauge.producer.intake.rows import MAX_ROW, InputRow
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.tables.format import TableFormat

SCHEMA = Schema((Feature("x", "numeric", minimum=0), Feature("c", "categorical", nullable=True)))


def from_csv(text: str, schema: Schema = SCHEMA) -> list[InputRow]:
    return list(CsvRows(io.StringIO(text, newline="")).read(schema))


def from_json(text: str) -> list[InputRow]:
    return list(JsonRows(io.StringIO(text)).read(SCHEMA))


def faults(row: InputRow) -> list[str]:
    return [f"{fault.field} {fault.message}" for fault in row.faults]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@given(
    st.lists(st.tuples(st.floats(0, 1e300), CELLS), max_size=30), st.sampled_from([(0, 1), (1, 0)])
)
def test_what_is_written_is_read(table: list[tuple[float, str]], order: tuple[int, int]) -> None:
    """Whatever text and numbers a CSV writer writes, in whatever order of columns, come out as they
    went in.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows(
        [[("x", "c")[at] for at in order], *([row[at] for at in order] for row in table)]
    )
    rows = CsvRows(io.StringIO(text.getvalue(), newline=""))
    assert rows.count(100) == len(table)
    found = list(rows.read(SCHEMA))
    assert [row.values for row in found] == [
        [number, category or None] for number, category in table
    ]
    assert [row.number for row in found] == list(range(1, len(table) + 1))


def test_a_row_that_does_not_fit_is_told_with_its_line() -> None:
    """Each fault is that of its row, with the line where the row begins; empty lines and quoted
    ones are counted.
    """
    rows = from_csv('x,c\n\n1,"two\nlines"\n-1,a\nnan,a\n1_0,b\n,b\n1\n1,2,3\n2,ok\n')
    assert [(row.number, row.line) for row in rows] == list(
        zip(range(1, 9), (3, 5, 6, 7, 8, 9, 10, 11), strict=True)
    )
    assert [bool(row.faults) for row in rows] == [False, True, True, True, True, True, True, False]
    assert faults(rows[1]) == ["/x is below the declared minimum 0"]
    assert faults(rows[2]) == ["/x must be a finite number, not NaN or infinity"]
    assert faults(rows[3]) == ["/x must be a number, not a string"]
    assert faults(rows[4]) == ["/x is missing, and the schema does not allow that"]
    assert faults(rows[5]) == [" has 1 cells, the header 2"]


def test_every_fault_of_a_header_is_named_before_any_row() -> None:
    """A header is refused as a whole: what is missing, unknown or doubled; a column that may be
    missing may be left out.
    """
    with pytest.raises(Problem) as refused:
        from_csv("c,c,z,=1\n1,2,3,4\n")
    assert [error.field for error in refused.value.errors] == [
        "/header/c",
        "/header/z",
        "/header/=1",
        "/header/x",
    ]
    assert from_csv("x\n1\n")[0].values == [1.0, None]
    assert from_csv("\ufeffx\n".lstrip("\ufeff")) == []
    with pytest.raises(Problem):
        from_csv("")


@pytest.mark.parametrize("text", ['x,c\n1,"a\n', "x,c\n1,a\n2," + "b" * 200_000, 'x,c\n1,"a"b\n'])
def test_a_csv_that_cannot_be_read_to_its_end_is_refused(text: str) -> None:
    """Broken quotes and endless cells are found when the rows are counted, with the line."""
    with pytest.raises(Problem, match=r"line [23]") as refused:
        CsvRows(io.StringIO(text, newline="")).count(100)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "text", ["x,c\n" + "1," * MAX_ROW, "x,c\n" + ('"' + "\n" * 9 + '",') * (MAX_ROW // 10)]
)
def test_a_csv_row_is_bounded(text: str) -> None:
    """A row without end, on one line or on many, is refused and never held in memory as a whole."""
    with pytest.raises(Problem) as refused:
        CsvRows(io.StringIO(text, newline="")).count(100)
    assert refused.value.status == 413


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


class Drip(io.StringIO):
    """Gives a few characters at a time, so that every place is once the end of what was read."""

    def read(self, size: int | None = -1) -> str:
        return super().read(min(3, size or 3))


@given(st.lists(JSON, max_size=8), st.sampled_from([None, 0, 2]))
def test_json_is_read_as_the_standard_library_reads_it(
    items: list[Any], indent: int | None
) -> None:
    """Values are cut apart rightly wherever the buffer ends, bare numbers and escaped quotes
    too.
    """
    document: Any = {"version": "1.0.0", "rows": items, "model": "a"}
    for form in (document, items):
        text = json.dumps(form, indent=indent, ensure_ascii=indent is None)
        rows = JsonRows(Drip(text))
        assert rows.count(100) == len(items)
        assert rows.model() == (("a", "1.0.0") if form is document else (None, None))
        assert [json.loads(source) for source in rows._row_texts({})] == json.loads(
            json.dumps(items)
        )


def test_a_json_row_that_does_not_fit_harms_no_other() -> None:
    """What is no object, misses a feature, is deeply nested or only lenient JSON is told in its
    row.
    """
    deep = "[" * 900 + "]" * 900
    rows = from_json(
        '[{"x": 1, "c": "a"}, 7, {"c": 1}, {"x": NaN}, '
        f'{{"x": {deep}}}, {{"x": 1, "c": "\\ud800"}}, {{"x": 2}}]'
    )
    assert [bool(row.faults) for row in rows] == [False, True, True, True, True, True, False]
    assert faults(rows[1]) == [" must be an object of feature names and values"]
    assert faults(rows[2])[0].startswith("/x is missing")
    assert rows[6].values == [2.0, None]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 400),
        ("[", 400),
        ("[1,]", 400),
        ("[1 2]", 400),
        ('{"rows": [1]} x', 400),
        ('{"rows" 1}', 400),
        ('{"rows": 1}', 400),
        ('{"model": NaN, "rows": []}', 400),
        ('{"rows": [], "rows": []}', 422),
        ('{"mode": 1, "rows": []}', 422),
        ('{"model": 1, "rows": []}', 422),
        ("{}", 422),
        ("7", 400),
        ("[" + "[" * 200_000, 400),
        ('["' + "a" * (MAX_ROW + 2 * CHUNK), 413),
    ],
)
def test_a_json_document_that_cannot_be_used_is_refused(text: str, status: int) -> None:
    """A document is refused when its rows are counted: before anything was scored, and whatever it
    is.
    """
    with pytest.raises(Problem) as refused:
        JsonRows(io.StringIO(text)).count(100)
    assert refused.value.status == status


def test_counting_stops_at_the_bound() -> None:
    """A file with too many rows is not read to its end."""
    endless = io.StringIO("x\n" + "1\n" * 50_000, newline="")
    assert CsvRows(endless).count(10) == 11
    assert JsonRows(io.StringIO("[" + "1," * 50_000)).count(10) == 11


def test_what_is_not_finite_is_missing_where_that_is_a_mark() -> None:
    """NaN in a row of JSON is read where the schema names it as missing, and only there."""
    table = TableFormat(missing=("NaN",))
    lenient = Schema((Feature("x", "numeric", nullable=True),), table=table)
    strict = Schema((Feature("x", "numeric", nullable=True),))
    text = '[{"x": NaN}, {"x": Infinity}, {"x": 2}, {"x": NaN, "\\ud800": 1}]'
    rows = [list(JsonRows(io.StringIO(text)).read(schema)) for schema in (lenient, strict)]
    assert [[bool(row.faults) for row in found] for found in rows] == [
        [False, True, False, True],
        [True, True, False, True],
    ]
    assert rows[0][0].values == [None]


def test_a_first_row_without_a_header_is_not_quoted() -> None:
    """A file whose first line names no column at all is told so, and its values stay untold."""
    with pytest.raises(Problem) as caught:
        from_csv("Smith,1970-01-02\nJones,1980-03-04\n")
    (fault,) = caught.value.errors
    assert (fault.field, fault.message) == (
        "/header",
        "names none of the columns of this model",
    )
