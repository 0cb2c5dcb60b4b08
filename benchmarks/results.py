"""Printing and storing of benchmark results."""

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(os.environ.get("BENCHMARK_RESULTS", Path(__file__).parent / "results"))
"""Folder of the results."""

WIDTH = 160
"""Width, in characters, of a table that is not printed on a terminal."""

ResultRow = dict[str, Any]


def write(name: str, title: str, rows: list[ResultRow]) -> Path:
    """Print rows as a table, and write them as JSON with the machine they were measured on."""
    table = Table(title=f"{name}: {title}", title_justify="left")
    for column in rows[0]:
        table.add_column(
            column, justify="right" if isinstance(rows[0][column], int | float) else "left"
        )
    for row in rows:
        table.add_row(
            *(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values())
        )
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    machine = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
    path.write_text(json.dumps({"title": title, "machine": machine, "rows": rows}, indent=2) + "\n")
    return path
