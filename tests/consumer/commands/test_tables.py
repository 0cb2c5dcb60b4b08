"""Tables of any width can be read."""

import pytest

from driftgauge.consumer.commands.tables import PIPED_WIDTH, show_table


def test_a_table_has_a_line_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the words have room beside each other, rows are lines."""
    show_table(("id", "label"), [("l0", 1), ("l1", 0)])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["id", "label"],
        ["l0", "1"],
        ["l1", "0"],
    ]


def test_what_is_too_wide_has_a_line_for_each_column(capsys: pytest.CaptureFixture[str]) -> None:
    """No word is broken to make room: each row is a table of its own."""
    names = [f"column_{number:03}" for number in range(60)]
    show_table(names, [[f"{row}.{number:03}" for number in range(60)] for row in range(2)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= PIPED_WIDTH
    words = [line.split() for line in lines]
    assert words == [
        part
        for row in range(2)
        for part in (
            ["Row", f"{row + 1}"],
            *([name, f"{row}.{number:03}"] for number, name in enumerate(names)),
        )
    ]


def test_a_name_of_a_column_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """Names and values are strangers' text."""
    show_table(("[bold]a", "\x1b[31mb"), [("[red]c", "d")])
    assert capsys.readouterr().out.split() == ["[bold]a", "\\x1b[31mb", "[red]c", "d"]
