import csv
import io
import json
import time

from hypothesis import given
from hypothesis import strategies as st

from driftgauge.producer.scoring.answers import CsvText, JsonText
from driftgauge.producer.scoring.batch import RowAnswer
from driftgauge.shared.reference.schema import FieldError
from driftgauge.shared.wording.harmless import NUMBER, harmless

ANSWERS = [
    RowAnswer(1, "ok", 2, "a-b", -1.5, None, "published"),
    RowAnswer(2, "ok", 3, "c-d", "=cmd|' /C calc'!A0", [0.25, 0.75], "spooled"),
    RowAnswer(3, "invalid", 4, errors=[FieldError("/+x", "is missing"), FieldError("", "too")]),
    RowAnswer(4, "ok", 5, "e-f", "-1", [1.0, 0.0], "published"),
]


def test_a_table_runs_nothing_in_a_spreadsheet() -> None:
    """Text that a spreadsheet would run gets a quote before it, headers too; numbers keep their
    minus.
    """
    text = CsvText(("=a", "b"))
    table = (
        text.head("m", "1.0.0") + text.block(ANSWERS[:2]) + text.block(ANSWERS[2:]) + text.tail()
    )
    header, first, second, third, fourth = csv.reader(io.StringIO(table.decode(), newline=""))
    assert header[-2:] == ["probability =a", "probability b"]
    assert first == ["1", "2", "ok", "a-b", "-1.5", "published", "", "", ""]
    assert second[4] == "'=cmd|' /C calc'!A0"
    assert second[-2:] == ["0.25", "0.75"]
    assert third[3:7] == ["", "", "", "'+x is missing; too"]
    assert fourth[4] == "-1"


SEPARATORS = ",;|\t\r\n"
HIDDEN = '\x00\x07\x1f "\xa0\xad\u200b\u200e\u2060\ufeff\u3000'
STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"


@given(st.text(alphabet=SEPARATORS + HIDDEN + STARTS + "ab1.'", max_size=20) | st.text(max_size=20))
def test_no_cell_begins_like_a_formula(text: str) -> None:
    """Whatever the untrusted names are, a cell begins like a formula only if it is a plain number,
    however a spreadsheet splits cells, and whatever it leaves out at their beginning. Nothing is
    taken away.
    """
    found = harmless(text)
    assert found.replace("'", "") == text.replace("'", "")
    if NUMBER.fullmatch(found):
        return
    assert found[:1] not in set("\t\r\n")
    for separator in SEPARATORS:
        for cell in found.split(separator):
            assert cell.lstrip(HIDDEN + SEPARATORS)[:1] not in set(STARTS)


def test_a_cell_takes_time_in_proportion_to_its_length() -> None:
    """Text made to be tried again and again takes twice the time when it is twice as long."""

    def seconds(times: int) -> float:
        texts = [unit * times for unit in ("\ufeff", ";\ufeff", ";", "1;=", "\t ")]
        started = time.process_time()
        for text in texts:
            harmless(text)
        return time.process_time() - started

    seconds(1000)
    assert seconds(80_000) < 40 * max(seconds(10_000), 0.001)


def test_whatever_text_stands_in_a_cell_is_harmless() -> None:
    """An id that a client supplied is text of a stranger like any other."""
    text = CsvText(()).block([RowAnswer(1, "ok", 2, "=1+1", "a;=2", None, "published")])
    assert text == b"1,2,ok,'=1+1,a;'=2,published,\r\n"


def test_a_document_is_one_however_it_is_cut() -> None:
    """JSON in blocks, empty ones too, is one document, and its summary counts every row."""
    for blocks in ([ANSWERS], [ANSWERS[:1], ANSWERS[1:]], []):
        text = JsonText()
        document = json.loads(
            text.head("m", "1.0.0") + b"".join(map(text.block, blocks)) + text.tail()
        )
        assert (document["model"], document["version"]) == ("m", "1.0.0")
        assert len(document["rows"]) == sum(map(len, blocks))
        if blocks:
            assert document["summary"] == {"ok": 3, "invalid": 1, "published": 2, "spooled": 1}
            assert document["rows"][1]["probabilities"] == [0.25, 0.75]
            assert document["rows"][2] == {
                "row": 3,
                "status": "invalid",
                "line": 4,
                "errors": [
                    {"field": "/+x", "message": "is missing"},
                    {"field": "", "message": "too"},
                ],
            }


def test_a_long_cell_takes_time_in_proportion_to_its_length() -> None:
    """A cell of digits that is no number is recognised at once, however long it is; an expression
    with two readings would try each of 40,000 places with all others.
    """
    assert NUMBER.fullmatch("1" * 40_000 + "x") is None
    assert NUMBER.fullmatch("1" * 40_000 + "." + "2" * 40_000)
    assert all(NUMBER.fullmatch(text) for text in ("1", "1.", "-.5", "+1.5e-3", "1E9"))
    assert not any(NUMBER.fullmatch(text) for text in ("", ".", "1e", "=1", "1.2.3"))
