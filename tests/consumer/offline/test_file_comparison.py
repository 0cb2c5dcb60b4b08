"""Two files: what was answered wrongly, each by its kind."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from driftgauge.consumer.commands.compare import compare
from driftgauge.shared.errors import BadData

RNG = np.random.default_rng(7)


def plant(rows: int, shift: float = 0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "temp": np.round(RNG.normal(20 + shift, 4, rows), 1),
            "load": np.round(RNG.normal(50, 9, rows), 1),
        }
    )


def run(before: Path, after: Path, *options: str) -> Result:
    return CliRunner().invoke(compare, [str(before), str(after), *options])


@pytest.fixture
def ref(tmp_path: Path) -> Path:
    return tmp_path / "ref.csv"


@pytest.fixture
def cur(tmp_path: Path) -> Path:
    return tmp_path / "cur.csv"


def write(path: Path, frame: pd.DataFrame, end: str = "", **how: str) -> None:
    text = frame.to_csv(index=False, **how)  # type: ignore[call-overload]  # typed by keyword
    head, *rows = text.splitlines()
    path.write_text("\n".join([head, *(row + end for row in rows)]) + "\n")


def test_a_trailing_comma_is_no_shift(ref: Path, cur: Path) -> None:
    """A cell more than the header in each line is refused, not read as a column further."""
    write(ref, plant(1000), end=",")
    write(cur, plant(600, 20), end=",")
    result = run(ref, cur)
    assert isinstance(result.exception, BadData)
    assert "line 2 has 3 cells, the header 2" in str(result.exception)


def test_semicolons_and_decimal_commas(ref: Path, cur: Path) -> None:
    """They are recognised and said, and the drift is found; without drift there is none."""
    for shift, code in ((16, 1), (0, 0)):
        write(ref, plant(1000), sep=";", decimal=",")
        write(cur, plant(600, shift), sep=";", decimal=",")
        result = run(ref, cur)
        assert result.exit_code == code, result.output
        assert "semicolons stand between the cells" in result.output
        assert "Numbers are written with a decimal comma" in result.output


def test_numbers_of_another_notation_than_was_said_are_no_categories(ref: Path, cur: Path) -> None:
    """A column whose numbers have a point, though a comma was said, is a question: as categories,
    each of its numbers would be unseen. It can be said to be one.
    """
    write(ref, plant(2000))
    write(cur, plant(2000), sep=";", decimal=",")
    found = run(ref, cur, "--decimal", ",")
    assert isinstance(found.exception, BadData)
    assert "'temp' has numbers whose decimal mark is '.', such as '" in str(found.exception)
    assert "say --decimal . or --type temp=categorical" in str(found.exception)
    chosen = run(ref, cur, "--decimal", ",", "--type", "temp=categorical")
    assert chosen.exit_code == 1, chosen.output  # temp is compared


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1000), ("us", 10**6), ("ns", 10**9)])
def test_numbers_that_may_be_times_are_told(ref: Path, cur: Path, unit: str, scale: int) -> None:
    """Later days of the same process are drift of a number, and none of a time: a column that is
    not named as one, but holds nothing else, is told, with what changes it.
    """
    for path, day in ((ref, 20_500), (cur, 20_560)):
        seconds = RNG.integers(day * 86_400, (day + 60) * 86_400, 1000)
        twice = np.sort(np.concatenate([seconds, seconds]))
        write(path, plant(2000).assign(t=twice * scale))
    said = run(ref, cur).output
    assert f"t: they may be times in {unit}, 2026-02-16 " in said
    assert "--type t=timestamp takes them as such" in said
    assert "may be times" not in run(ref, cur, "--type", "t=timestamp").output


def test_columns_without_a_name(ref: Path) -> None:
    """They are named by their places; there is no traceback."""
    ref.write_text("temp,load,,\n20.1,50,,\n19.7,48,,\n")
    assert "columns 3 and 4 have no name" in str(run(ref, ref).exception)


def test_codes_with_leading_zeros(ref: Path, cur: Path) -> None:
    """`007` and `102` are categories on both sides, whatever the file's format: no drift."""
    for path, rows in ((ref, 1000), (cur, 600)):
        sites = RNG.choice(["007", "010", "102"], rows)
        write(path, plant(rows).assign(site=sites))
    lines = cur.with_suffix(".jsonl")
    pd.read_csv(cur, dtype={"site": str}).to_json(lines, orient="records", lines=True)
    for path in (cur, lines):
        result = run(ref, path)
        assert result.exit_code == 0, result.output
        assert "OK: none of 3 columns drifted" in result.output


def test_one_bad_token_in_the_reference(ref: Path, cur: Path) -> None:
    """One '?' among the numbers is told, and taken as missing in both files."""
    frame = plant(1000).astype({"temp": object})
    frame.loc[17, "temp"] = "?"
    write(ref, frame)
    write(cur, plant(600))
    result = run(ref, cur)
    assert result.exit_code == 0, result.output
    assert "almost numeric: 1 of 1,000 cells" in result.output
    assert "OK: none of 2 columns drifted" in result.output


def test_one_bad_token_in_the_current_file(ref: Path, cur: Path) -> None:
    """It costs its own column alone, is named by its line, and has an exit code; --missing takes it
    as missing.
    """
    write(ref, plant(1000))
    frame = plant(600).astype({"temp": object})
    frame.loc[17, "temp"] = "?"
    write(cur, frame)
    result = run(ref, cur)
    assert result.exit_code == 4
    told = " ".join(result.stdout.split())
    assert "1 of 600 cells is no number (the first in line 19)" in told
    assert "1 of 2 columns cannot be compared (temp). OK: none of 1 columns drifted" in told
    assert run(ref, cur, "--missing", "?").exit_code == 0


def test_an_absent_column_costs_itself_alone(ref: Path, cur: Path) -> None:
    """Drift of another column is found, and makes the exit code; without it the absent one does."""
    for shift, code in ((16, 1), (0, 4)):
        write(ref, plant(1000))
        write(cur, plant(600, shift)[["temp"]].assign(new=1))
        result = run(ref, cur)
        assert result.exit_code == code, result.output
        assert "1 of 2 columns cannot be compared (load)" in result.output
        assert "are not compared: new" in result.output


def test_options_may_be_repeated(ref: Path, cur: Path) -> None:
    """--features and --exclude take several columns, by repetition or with commas; a column named
    `prediction` may be excluded.
    """
    for path, rows in ((ref, 1000), (cur, 600)):
        write(path, plant(rows).assign(prediction=1.0, other=RNG.normal(size=rows)))
    result = run(ref, cur, "--exclude", "prediction")
    assert result.exit_code == 0, result.output
    chosen = run(ref, cur, "--features", "temp,load", "--features", "other", "--exclude", "load")
    assert chosen.exit_code == 0, chosen.output
    assert "prediction" not in chosen.stdout
    assert "none of 2 columns drifted" in chosen.stdout
    for path, rows in ((ref, 1000), (cur, 600)):
        write(path, plant(rows).rename(columns={"load": "load, kW"}))
    assert "load, kW" in run(ref, cur, "--features", "load, kW").stdout
    absent = run(ref, cur, "--features", "nope")
    assert "has no column nope" in str(absent.exception)


def test_formats_may_differ(ref: Path, cur: Path) -> None:
    """A Parquet reference and a compressed CSV file of the same law are normal; numbers of 17
    digits do not move.
    """
    stars = (RNG.integers(1, 12, 5000) - 5.9) / 3.17
    pd.DataFrame({"stars": stars}).to_parquet(ref)
    cur = cur.with_suffix(".csv.gz")
    pd.DataFrame({"stars": RNG.permutation(stars)[:2000]}).to_csv(cur, index=False)
    result = run(ref, cur)
    assert result.exit_code == 0, result.output
    assert "is read as Parquet" in result.output


def test_nanoseconds_do_not_hang(ref: Path) -> None:
    """Times since 1970 in nanoseconds are recognised as times, and left out where the rows have
    none of their own.
    """
    start = 1_760_000_000_000_000_000
    write(ref, plant(1200).assign(ts=[start + row * 3_600_000_000_000 for row in range(1200)]))
    result = run(ref, ref)
    assert result.exit_code == 0, result.output
    assert "left out of drift: a time whose age is not known" in result.output
