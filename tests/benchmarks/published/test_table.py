"""The published figures: kept once, and shown as they are kept."""

from pathlib import Path

import pytest

from benchmarks.published.figures import PUBLISHED, Published
from benchmarks.published.table import PAGE, README, Kept, filled, keep, load, save


@pytest.mark.parametrize("page", [PAGE, README], ids=lambda page: page.name)
def test_a_page_shows_what_is_kept(page: Path) -> None:
    """Nobody writes a figure into the tables by hand."""
    text = page.read_text()
    assert filled(text, load()) == text
    assert "<!-- measured: " in text


def test_what_is_kept_has_a_command() -> None:
    """Each kept figure is one that `python -m benchmarks` measures again."""
    assert set(load()) <= {one.module for one in PUBLISHED}


def test_a_run_replaces_the_figures_of_its_benchmark_alone(tmp_path: Path) -> None:
    """The others stay, with their day; what is saved is read again as it was."""
    commits = next(one for one in PUBLISHED if one.module == "benchmarks.commits")
    rows = [
        {"step": "PING, one round trip", "median ms": 0.04},
        {"step": "commit, 5 MB unchanged", "median ms": 0.3},
        {"step": "commit, all 5 MB changed", "median ms": 7.0},
    ]
    kept = {
        "benchmarks.commits": Kept("2026-01-01", "old", [("slow", "")]),
        "benchmarks.report": Kept("2026-01-01", "old", [("a page", "a bound")]),
    }
    keep(kept, commits, rows, "2026-02-02", "new")
    path = tmp_path / "measured.json"
    save(kept, path)
    assert load(path) == {
        "benchmarks.commits": Kept(
            "2026-02-02",
            "new",
            [
                (
                    "0.3 ms for a commit, 5 MB unchanged, 7 for a commit, all 5 MB changed",
                    "0.04 ms for a PING",
                )
            ],
        ),
        "benchmarks.report": Kept("2026-01-01", "old", [("a page", "a bound")]),
    }


def test_tables_have_a_row_for_each_figure() -> None:
    """A page gets all figures, the README the first ones of the headlines."""
    kept = {one.module: Kept("2026-01-01", "m", [("a", "b"), ("c", "")]) for one in PUBLISHED}
    page = filled("<!-- measured: figures -->\n<!-- end -->", kept)
    assert page.count("| a | b |") == page.count("| c |  |") == len(PUBLISHED)
    readme = filled("<!-- measured: headlines -->\nold\n<!-- end -->", kept)
    headlines: list[Published] = [one for one in PUBLISHED if one.is_headline]
    assert readme.count("| a | b |") == len(headlines)
    assert "old" not in readme
