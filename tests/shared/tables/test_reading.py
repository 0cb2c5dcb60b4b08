"""One reader for every file: what it recognises, what it refuses, and in which words."""

import gzip
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from driftgauge.shared.errors import BadData, NotInstalled
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.tables.reading import cells_of, open_table, read_table


def write(folder: Path, content: bytes | str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, form: TableFormat | None = None, **kinds: str) -> str:
    with pytest.raises(BadData) as found:
        read_table(path, form, kinds)
    return str(found.value).replace(str(path), "FILE")


def test_rows_with_more_cells_than_the_header_are_refused_by_line(tmp_path: Path) -> None:
    """A separator at the end of each line does not shift the columns: nothing is read."""
    rows = "temp,load\n" + "".join(f"{20 + i},{50 + i},\n" for i in range(8))
    assert refusal(write(tmp_path, rows)) == (
        "FILE: line 2 has 3 cells, the header 2 (a separator at the end of the line makes a "
        "cell); so do not fit lines 3, 4, 5, 6, 7 and 2 more."
    )


def test_rows_with_fewer_cells_are_refused_by_line(tmp_path: Path) -> None:
    """The line is that of the file, whatever line breaks quoted cells before it have."""
    path = write(tmp_path, 'note,x\n"two\nlines",1\n\nshort\n"b",2\n')
    assert refusal(path) == "FILE: line 5 has 1 cells, the header 2."


@pytest.mark.parametrize(
    ("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")]
)
def test_other_separators_are_recognised_and_said(
    separator: str, name: str, tmp_path: Path
) -> None:
    """Semicolons, tabs and bars are read as commas are, and the reader says so."""
    path = write(tmp_path, f"x{separator}y\n1{separator}a,b\n2{separator}c\n")
    table = open_table(path)
    assert table.typed().frame.to_dict("list") == {"x": [1, 2], "y": ["a,b", "c"]}
    assert table.remarks == (f"{path}: {name} stand between the cells.",)


def test_an_ambiguous_separator_is_refused_by_name(tmp_path: Path) -> None:
    """What may be read in two ways is asked, and the answer is taken."""
    path = write(tmp_path, "a,b;c\nu,v;w\n")
    assert refusal(path) == "FILE: the separator may be ',' or ';'; say which by --separator."
    assert list(read_table(path, TableFormat(separator=";")).columns) == ["a,b", "c"]
    wrong = write(tmp_path, "a;b\n1;2,5\n")
    assert "this looks like semicolons between the cells" in refusal(
        wrong, TableFormat(separator=",")
    )


def test_empty_and_repeated_names_are_named(tmp_path: Path) -> None:
    """A header is refused by the places of its columns, with a word on the index of pandas."""
    assert refusal(write(tmp_path, "temp,load,,\n1,2,,\n")) == (
        "FILE: columns 3 and 4 have no name."
    )
    assert refusal(write(tmp_path, "x,y,x\n1,2,3\n")) == "FILE: 'x' is the name of columns 1 and 3."
    index = write(tmp_path, pd.DataFrame({"x": [1]}).to_csv())
    assert "pandas writes its index so; use index=False" in refusal(index)


def test_decimal_commas_are_asked_and_taken(tmp_path: Path) -> None:
    """Numbers with decimal commas are asked about, and read by the format."""
    path = write(tmp_path, "temp;load\n16,7;1.055,66\n19,3;39,47\n")
    assert "if '16,7' is a number, say --decimal ,." in refusal(path, temp="numeric")
    thousands = refusal(path, load="numeric")
    assert "if '1.055,66' is a number, say --decimal , --thousands ." in thousands
    frame = read_table(path, TableFormat(decimal=",", thousands="."))
    assert frame.to_dict("list") == {"temp": [16.7, 19.3], "load": [1055.66, 39.47]}


def test_one_bad_cell_is_told_by_its_line(tmp_path: Path) -> None:
    """Numbers with one '?' are refused with its line and the option; with the option it is
    missing.
    """
    cells = [f"{i / 7:.3f}" for i in range(500)]
    cells[123] = "?"
    path = write(tmp_path, "temp\n" + "\n".join(cells))
    assert refusal(path, temp="numeric") == (
        "FILE: Column 'temp': 1 of 500 cells is no number (the first in line 125): if '?' means "
        "that a value is missing, say --missing '?'."
    )
    frame = read_table(path, TableFormat(missing=("?",)))
    assert frame["temp"].isna().sum() == 1
    assert frame["temp"].dtype == np.float64
    other = write(tmp_path, "temp\n" + "\n".join([*cells[:123], "1O7", *cells[124:]]))
    assert "(the first in line 125): correct them" in refusal(other, temp="numeric")
    assert "1O7" not in refusal(other, temp="numeric"), "what is no known mark may be personal"


def test_codes_keep_their_zeros_and_na_is_a_text(tmp_path: Path) -> None:
    """`007` is no 7 and `NA` is Namibia, unless the format says that it is missing."""
    path = write(tmp_path, "site,land\n007,NA\n102,DE\n")
    assert read_table(path).to_dict("list") == {"site": ["007", "102"], "land": ["NA", "DE"]}
    kinds = {"site": "categorical", "land": "categorical"}
    frame = read_table(path, TableFormat(missing=("NA",)), kinds)
    assert frame["land"].isna().tolist() == [True, False]


def test_a_known_column_is_read_by_its_kind(tmp_path: Path) -> None:
    """Codes without leading zeros stay texts where the schema says so; numbers are refused by
    line where they are none, and other columns do not matter.
    """
    path = write(tmp_path, "code,ok,x,new\n102,1,5,1\n110,0,6,?\n")
    kinds = {"code": "categorical", "ok": "boolean", "x": "numeric"}
    frame = read_table(path, kinds=kinds)
    assert frame["code"].tolist() == ["102", "110"]
    assert frame["ok"].tolist() == [True, False]
    with pytest.raises(BadData, match=r"1 of 2 cells is no number \(the first in line 3\)"):
        read_table(path, kinds={"new": "numeric"})


@pytest.mark.parametrize("wrap", ["plain", "mark", "crlf", "gz", "zstd", "utf-16"])
def test_compression_marks_and_line_ends(wrap: str, tmp_path: Path) -> None:
    """A byte order mark, CRLF, gzip, zstd and other encodings give the same columns."""
    text = 'name,x\n"Zoë",1.5\nb,\n'
    content = {
        "plain": text.encode(),
        "mark": text.encode("utf-8-sig"),
        "crlf": text.replace("\n", "\r\n").encode(),
        "gz": gzip.compress(text.encode(), mtime=0),
        "zstd": pa.compress(text.encode(), codec="zstd", asbytes=True),
        "utf-16": text.encode("utf-16"),
    }[wrap]
    path = write(tmp_path, content)
    form = TableFormat(encoding="utf-16") if wrap == "utf-16" else None
    frame = read_table(path, form)
    assert frame["name"].tolist() == ["Zoë", "b"]
    assert frame["x"].iloc[0] == 1.5
    assert np.isnan(frame["x"].iloc[1])


def test_an_encoding_is_said_with_the_place(tmp_path: Path) -> None:
    """What is not UTF-8 is refused with line and byte, and read by the named encoding."""
    path = write(tmp_path, "name,x\na,1\nZo\xeb,2\n".encode("latin-1"))
    assert refusal(path) == (
        "FILE: line 3, byte 13 of the file is not utf-8; if it is of Windows, say --encoding "
        "cp1252."
    )
    assert read_table(path, TableFormat(encoding="latin-1"))["name"].tolist() == ["a", "Zoë"]
    wide = write(tmp_path, "name,x\na,1\n".encode("utf-16"))
    assert "this looks like utf-16; say --encoding utf-16" in refusal(wide)


FRAME = pd.DataFrame({"x": [1.5, np.nan, -2.0], "c": ["a", "007", None], "b": [True, False, True]})


@pytest.mark.parametrize("form", ["csv", "json_lines", "parquet", "arrow", "stream"])
def test_every_format_gives_the_same_columns(form: str, tmp_path: Path) -> None:
    """CSV, JSON lines, Parquet and both forms of Arrow are recognised by content, not by name."""
    path = tmp_path / "data"
    table = pa.Table.from_pandas(FRAME)
    if form == "csv":
        FRAME.to_csv(path, index=False)
    elif form == "json_lines":
        FRAME.to_json(path, orient="records", lines=True)
    elif form == "parquet":
        parquet.write_table(table, path)
    elif form == "arrow":
        feather.write_feather(table, str(path))
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    frame = read_table(path)
    assert frame["x"].tolist()[::2] == [1.5, -2.0]
    assert frame["c"].tolist()[:2] == ["a", "007"]
    assert frame.isna().sum().to_dict() == {"x": 1, "c": 1, "b": 0}
    assert frame.dtypes.astype(str).to_dict() == {"x": "float64", "c": "object", "b": "bool"}
    with cells_of(path) as cells:
        assert cells.header == ["x", "c", "b"]
        found = [record for _, record in cells.records]
    assert [[float(x or "nan"), c] for x, c, _ in found][::2] == [[1.5, "a"], [-2.0, ""]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"x,y\n", "it has a header but no rows"),
        (b"PK\x03\x04rest", "this looks like an Excel workbook or a ZIP archive"),
        (b'[{"x": 1}]', "this looks like one JSON document; write JSON lines instead"),
        (b"<!DOCTYPE html><p>", "this looks like HTML"),
        (b"x,y\n1,\0\n", "this is no text"),
        (b'x,y\n1,"2\n', "line 2 cannot be read as CSV: unexpected end of data"),
        (b'{"x": 1}\n{"x": \n', "line 2 is no JSON object"),
        (b'{"x": 1}\n[2]\n', "line 2 is no JSON object"),
        (b"PAR1 and no more", "it cannot be read as Parquet"),
        (gzip.compress(b"x,y\n1,2\n", mtime=0)[:-6], "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    """A file that is none of ours, torn or empty is refused by what it looks like."""
    assert words in refusal(write(tmp_path, content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path is told."""
    with pytest.raises(BadData, match="There is no file"):
        read_table(tmp_path / "none.csv")


def test_a_reader_of_cells_does_not_name_others_errors(tmp_path: Path) -> None:
    """What goes wrong where the cells are used is not told as a fault of the file."""
    path = write(tmp_path, "x\n1\n")
    with pytest.raises(BadData, match=r"^Elsewhere\.$"), cells_of(path):
        raise BadData("Elsewhere.")


def test_nested_values_and_absent_names_of_json_lines(tmp_path: Path) -> None:
    """A list is no value of a column; a name that an object lacks is missing."""
    path = write(tmp_path, '{"x": 1}\n{"x": [1], "y": "a"}\n')
    told = refusal(path, x="numeric")
    assert "Column 'x': 1 of 2 cells is no number (the first in line 2)" in told
    told = refusal(path, x="categorical")
    assert "Column 'x': 1 of 2 cells is no single value (the first in line 2)" in told
    path = write(tmp_path, '{"x": 1}\n{"y": "a"}\n{"x": NaN, "y": "?"}\n')
    frame = read_table(path, TableFormat(missing=("?",)))
    assert frame["x"].isna().tolist() == [False, True, True]
    assert frame["y"].isna().tolist() == [True, False, True]


def test_names_without_end_are_refused(tmp_path: Path) -> None:
    """Objects that each have a name of their own are no table; that is said soon."""
    lines = "".join(f'{{"n{place}": 1}}\n' for place in range(25_000))
    assert "it has 20,001 columns; at most 20,000 are read" in refusal(write(tmp_path, lines))
    lines = "".join(f'{{"n{place}": 1}}\n' for place in range(10_000))
    assert "nearly all cells would be missing" in refusal(write(tmp_path, lines))


def test_what_was_recognised_is_told(tmp_path: Path) -> None:
    """Whoever reads a table may hear what it was taken for."""
    told: list[str] = []
    path = write(tmp_path, "x;y\n1;2\n")
    read_table(path, tell=told.append)
    assert told == [f"{path}: semicolons stand between the cells."]


def test_numbers_and_texts_in_one_column(tmp_path: Path) -> None:
    """Of JSON lines, a number is one whatever the format's marks are, and a text is read by them;
    a boolean is no number.
    """
    path = write(tmp_path, '{"x": 1.5}\n{"x": "2,5"}\n{"x": "?"}\n{"x": null}\n')
    form = TableFormat(decimal=",", missing=("?",))
    assert read_table(path, form, {"x": "numeric"})["x"].tolist()[:2] == [1.5, 2.5]
    assert read_table(path, form, {"x": "numeric"})["x"].isna().tolist()[2:] == [True, True]
    path = write(tmp_path, '{"x": 1.5}\n{"x": true}\n')
    assert "1 of 2 cells is no number (the first in line 2)" in refusal(path, x="numeric")
    path = write(tmp_path, '{"x": 1}\n{"x": true}\n{"x": "False"}\n{"x": null}\n')
    assert read_table(path, kinds={"x": "boolean"})["x"].tolist()[:3] == [True, True, False]


def test_a_number_without_end_is_infinite(tmp_path: Path) -> None:
    """More digits than a number can have are too many in CSV as in JSON lines."""
    digits = "9" * 400
    for text in (f'{{"x": {digits}}}\n{{"x": 1}}\n', f'{{"x": {digits}}}\n', f"x\n{digits}\n"):
        path = write(tmp_path, text)
        assert read_table(path)["x"].iloc[0] == np.inf
        assert read_table(path, kinds={"x": "numeric"})["x"].iloc[0] == np.inf


def test_one_column_of_decimal_commas(tmp_path: Path) -> None:
    """Nothing separates it; its commas are decimal marks."""
    path = write(tmp_path, "x\n1,5\n2,25\n")
    assert read_table(path, TableFormat(decimal=","))["x"].tolist() == [1.5, 2.25]


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CSV and JSON lines are read without it; what needs it says which extra brings it."""
    path = tmp_path / "x.parquet"
    pd.DataFrame({"x": [1.5]}).to_parquet(path)
    packed = write(tmp_path, pa.compress(b"x\n1\n", codec="zstd", asbytes=True), "x.zst")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for file in (path, packed):
        with pytest.raises(NotInstalled, match=r"driftgauge\[parquet\]"):
            read_table(file)
    assert read_table(write(tmp_path, '{"x": 1}\n'))["x"].tolist() == [1]


def test_headers_as_people_write_them(tmp_path: Path) -> None:
    """Spaces around names do not count; Excel's line about the separator is named."""
    path = write(tmp_path, "temp, load\n1, 2\n")
    assert read_table(path).to_dict("list") == {"temp": [1], "load": [2]}
    assert "line 1 is Excel's mark of the separator" in refusal(
        write(tmp_path, "sep=;\na;b\n1;2\n")
    )


def test_codes_of_many_digits_keep_them(tmp_path: Path) -> None:
    """A code is no float64 on its way from JSON lines or Parquet, with missing ones beside it."""
    code = 1_234_567_890_123_456_789
    lines = write(tmp_path, f'{{"id": {code}}}\n{{"id": null}}\n', "codes.jsonl")
    path = tmp_path / "codes.parquet"
    parquet.write_table(pa.table({"id": pa.array([code, None])}), path)
    for file in (lines, path):
        frame = read_table(file, kinds={"id": "categorical"})
        assert str(frame["id"].iloc[0]) == str(code)
        assert frame["id"].isna().tolist() == [False, True]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """What comes through a named pipe, as a shell's `<(zcat …)`, is read as a file is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("x;y\n1;2\n",))
    writer.start()
    assert read_table(pipe).to_dict("list") == {"x": [1], "y": [2]}
    writer.join()


@pytest.mark.parametrize("line", ["Smith,1970-01-02,44", "smith@example.com,a,b", "1.5,2.5,x"])
def test_a_first_line_of_values_is_not_quoted(tmp_path: Path, line: str) -> None:
    """A file without a header is refused before any message quotes its first row as names."""
    path = tmp_path / "rows.csv"
    path.write_text(f"{line}\n{line}\n")
    with pytest.raises(BadData, match="looks like values") as caught:
        read_table(path)
    assert line.split(",", maxsplit=1)[0] not in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_that_is_utf_8_is_read_so_whatever_was_said(
    tmp_path: Path, encoding: str, mark: str
) -> None:
    """Of two files that are compared, and of those of a version, one may have another encoding than
    was said: what is UTF-8 beyond doubt is never read as `ZoÃ«`, and that is told.
    """
    text = "name\n" + "x" * 70_000 + "\nZoë\n"
    path, named = tmp_path / "utf-8.csv", tmp_path / "named.csv"
    path.write_text(mark + text, encoding="utf-8")
    named.write_text(text, encoding=encoding)
    told: list[str] = []
    form = TableFormat(encoding=encoding)
    assert read_table(path, form, tell=told.append)["name"].tolist()[1] == "Zoë"
    assert told == [f"{path} is utf-8, and not {encoding}: it is read as utf-8."]
    assert read_table(named, form, tell=told.append)["name"].tolist()[1] == "Zoë"
    assert len(told) == 1
