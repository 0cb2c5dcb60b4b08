"""All published figures, measured in one go on one machine.

    python -m benchmarks [--only MODULE …] [--without MODULE …] [--smallest]

Each benchmark runs by itself, after the other. What one measured is kept in docs/measured.json at
once, and the tables of README.md and docs/measured.md are written anew: so an evening that ends
early has what it measured until then. A benchmark that fails keeps its former figures, and is told.
With --smallest each runs at the size that CI starts, and the table is only printed.
"""

import datetime as dt
import json
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import click

from benchmarks.published.figures import PUBLISHED, Published
from benchmarks.published.table import PAGE, README, Kept, figures, filled, keep, load, save
from benchmarks.results import FOLDER

MODULES = [one.module for one in PUBLISHED]


@click.command()
@click.option(
    "--only", multiple=True, type=click.Choice(MODULES), help="Only this one; repeatable."
)
@click.option("--without", multiple=True, type=click.Choice(MODULES), help="Not this one.")
@click.option("--smallest", is_flag=True, help="At its smallest size; print the table alone.")
def main(only: tuple[str, ...], without: tuple[str, ...], *, smallest: bool) -> None:
    """Measure all published figures, and write the tables that show them."""
    chosen = [
        one for one in PUBLISHED if (not only or one.module in only) and one.module not in without
    ]
    kept = {} if smallest else load()
    failed = []
    for one in chosen:
        arguments = import_module(one.module).SMOKE if smallest else one.arguments
        if not measured(one, arguments, kept):
            failed.append(one.module)
        if not smallest:
            publish(kept)
    if smallest:
        click.echo(figures(kept))
    if failed:
        raise SystemExit(f"{len(failed)} of {len(chosen)} failed: {', '.join(failed)}.")


def measured(one: Published, arguments: Sequence[str], kept: dict[str, Kept]) -> bool:
    """Run a benchmark, and keep what it measured; return whether it ended well."""
    result = FOLDER / f"{one.result}.json"
    begun = time.time()
    click.echo(f"python -m {one.module} {' '.join(arguments)}".rstrip())
    code = subprocess.run([sys.executable, "-m", one.module, *arguments], check=False).returncode
    click.echo(f"{one.module}: {time.time() - begun:,.0f} s, exit code {code}\n")
    if not result.is_file() or result.stat().st_mtime < begun:
        return False
    day = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    keep(kept, one, json.loads(result.read_text())["rows"], day, machine())
    return code == 0


def publish(kept: Mapping[str, Kept]) -> None:
    """Write what is kept, and the tables that show it."""
    save(kept)
    for page in (PAGE, README):
        page.write_text(filled(page.read_text(), kept))


def machine() -> str:
    """Return what is measured on: processor, its cores that may be used, and Python."""
    cpus = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (cpus.read_text().splitlines() if cpus.is_file() else ())
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.machine()
    return f"{len(names) or '?'} cores of {name}, Python {platform.python_version()}"


SMOKE = ("--smallest", "--only", "benchmarks.commits")
"""Arguments of the smallest run, which CI starts."""

if __name__ == "__main__":
    main()
