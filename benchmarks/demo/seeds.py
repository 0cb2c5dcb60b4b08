"""The demo over many seeds: how often it alerts before the injection, and how soon after.

    python -m benchmarks.demo.seeds [--seeds N] [--events N]

Each run is the real demo: Redis, API and worker as processes, traffic through POST /predict.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks.results import ResultRow, write

SMOKE = ("--seeds", "1", "--events", "400", "--rate", "2000")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--seeds", default=20, show_default=True)
@click.option("--events", default=6000, show_default=True)
@click.option("--rate", default=1000, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="Steel CSV, as for the demo.")
def main(seeds: int, events: int, rate: int, data: Path | None) -> None:
    """Measure, print a table, write benchmarks/results/demo_seeds.json."""
    rows: list[ResultRow] = []
    for seed in range(seeds):
        result = run_demo(seed, events, rate, data)
        drift = result["drift"]
        first = drift["first_alert_event"]
        rows.append(
            {
                "seed": seed,
                "published": result["published"],
                "counted": result["counted"],
                "first alert": first,
                "after injection": None if first is None else first - drift["injected_at_event"],
                "seconds": result["seconds"],
            }
        )
    delays = [row["after injection"] for row in rows if row["after injection"] is not None]
    early, missed = sum(delay < 0 for delay in delays), len(rows) - len(delays)
    found = [delay for delay in delays if delay >= 0]
    median = statistics.median(found) if found else None
    write(
        "demo_seeds",
        f"{seeds} seeds: {early} alerted before the injection, {missed} missed, median delay "
        f"{median}",
        rows,
    )


def run_demo(seed: int, events: int, rate: int, data: Path | None) -> dict[str, Any]:
    """Run the demo once; return its JSON."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "driftgauge",
            "demo",
            "--events",
            str(events),
            "--seed",
            str(seed),
            "--rate",
            str(rate),
            "--output",
            folder,
            "--json",
            *(("--data", str(data)) if data is not None else ()),
        ]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
