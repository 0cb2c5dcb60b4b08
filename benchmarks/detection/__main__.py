"""Print the tables and write them to benchmarks/results, as JSON and Markdown."""

from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.detection import errors, fixed, ordered, real, synthetic, tails
from benchmarks.results import FOLDER, ResultRow, write

SMOKE = ("--quick", "--seeds", "1", "--most", "400")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--quick", is_flag=True, help="Fewer events and trials: under five minutes.")
@click.option("--seeds", default=20, show_default=True, help="Streams with a change in them.")
@click.option("--most", default=10**9, help="Most events of a stream without a change.")
@click.option(
    "--data",
    default=Path("../shared/data"),
    type=click.Path(path_type=Path),
    help="Folder of the real files.",
)
def main(seeds: int, most: int, data: Path, *, quick: bool) -> None:
    """Measure delays and false alarms of our detectors beside what people use."""
    tables: dict[str, tuple[str, Callable[[], list[ResultRow]]]] = {
        "alone": (
            "one feature, median delay in events",
            lambda: synthetic.alone(seeds, min(most, 600_000 if quick else 6_000_000)),
        ),
        "together": (
            "one drifting feature of 18, median delay in events",
            lambda: synthetic.together(seeds, min(most, 100_000 if quick else 2_000_000)),
        ),
        "fixed": (
            "evaluations without drift that alarm",
            lambda: fixed.rows(min(most, 400 if quick else 5000)),
        ),
        "tails": (
            "comparisons with long tails, atoms and many columns",
            lambda: tails.rows(min(max(most // 100, 1), 30 if quick else 300)),
        ),
        "real": (
            "rows of real files in random order",
            lambda: real.rows(data, min(most, 300_000)) if data.is_dir() else [],
        ),
        "errors": (
            "errors of a classifier, median delay in labels",
            lambda: errors.rows(seeds, min(most, 1_000_000 if quick else 5_000_000)),
        ),
        "ordered": (
            "rows of real files in their order in time",
            lambda: (
                ordered.tables(min(seeds, 5) if quick else 2 * seeds, data) if data.is_dir() else []
            ),
        ),
    }
    pages = []
    for name, (title, measure) in tables.items():
        rows = measure()
        if rows:
            write(f"detection_{name}", title, rows)
            pages.append(f"### {title}\n\n{_markdown(rows)}\n")
    (FOLDER / "detection.md").write_text("\n".join(pages))


def _markdown(rows: list[ResultRow]) -> str:
    lines = [
        list(rows[0]),
        ["---"] * len(rows[0]),
        *([str(value) for value in row.values()] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
