"""Keeps the published figures in `docs/measured.json`, and writes the tables that show them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.published.figures import PUBLISHED, Published, Rows

ROOT: Final = Path(__file__).parents[2]
STORE: Final = ROOT / "docs" / "measured.json"
PAGE: Final = ROOT / "docs" / "measured.md"
README: Final = ROOT / "README.md"
PLACE: Final = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""Where a page has a table: all figures, or the headlines."""


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The figures of a benchmark's last published run."""

    measured: str
    """The day, such as 2026-11-30; with "to" before it if it was that day or earlier."""
    machine: str
    figures: list[tuple[str, str]]
    """Sentences and yardsticks."""


def load(path: Path = STORE) -> dict[str, Kept]:
    """Read what is kept, by the benchmark's module."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Kept])


def save(kept: Mapping[str, Kept], path: Path = STORE) -> None:
    """Write what is kept."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")


def keep(kept: dict[str, Kept], one: Published, rows: Rows, day: str, machine: str) -> None:
    """Replace the figures of a benchmark by those of a run."""
    told = [(figure.said, figure.yardstick) for figure in one.figures(rows)]
    kept[one.module] = Kept(day, machine, told)


def filled(text: str, kept: Mapping[str, Kept]) -> str:
    """Return a page with its tables as they are now."""
    made = {"figures": figures(kept), "headlines": headlines(kept)}
    return PLACE.sub(lambda found: f"{found[1]}{made[found[2]]}{found[3]}", text)


def figures(kept: Mapping[str, Kept]) -> str:
    """Write the table of all figures."""
    lines = ["| command | figure | yardstick | measured |", "|---|---|---|---|"]
    for one in PUBLISHED:
        found = kept.get(one.module)
        for place, (said, yardstick) in enumerate(found.figures if found else ()):
            command, day = (
                ("", "") if place else (f"`{one.module}`", found.measured if found else "")
            )
            lines.append(f"| {command} | {said} | {yardstick} | {day} |")
    return "\n".join(lines) + "\n"


def headlines(kept: Mapping[str, Kept]) -> str:
    """Write the table of the first figures."""
    lines = ["| figure | yardstick |", "|---|---|"]
    for one in PUBLISHED:
        if one.is_headline and one.module in kept:
            said, yardstick = kept[one.module].figures[0]
            lines.append(f"| {said} | {yardstick} |")
    return "\n".join(lines) + "\n"
