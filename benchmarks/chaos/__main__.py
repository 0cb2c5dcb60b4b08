"""Chaos: what becomes of events and alerts while processes are killed, stopped and cut off at
random instants.

    python -m benchmarks.chaos --minutes N [--seed S]

Prints a table, writes benchmarks/results/chaos.json; the exit code is 1 if anything was lost,
doubled or judged otherwise.
"""

import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import click

from benchmarks.chaos.faults import Injector, settle
from benchmarks.chaos.plant import Plant
from benchmarks.chaos.traffic import Ledger, Traffic
from benchmarks.chaos.verdict import Verdict, judge
from benchmarks.results import ResultRow, write

DRIFT_S = 10.0
"""Seconds for which the temperature is calm, then drifted, in turns."""


SMOKE = ("--minutes", "0.1", "--gap", "1")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.1), default=10.0, show_default=True)
@click.option(
    "--seed", default=1, show_default=True, help="Of the events, the faults and their instants."
)
@click.option("--gap", default=3.5, show_default=True, help="Mean seconds between two faults.")
@click.option("--rate", default=200.0, show_default=True, help="Most events a second.")
@click.option("--keep", is_flag=True, help="Keep the folder of the processes' logs.")
def main(minutes: float, seed: int, gap: float, rate: float, *, keep: bool) -> None:
    """Disturb real processes for some minutes, and verify what they counted."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    started = time.monotonic()
    with Plant(folder) as plant:
        traffic = Traffic(plant, seed, rate)
        traffic.start()
        injector = Injector(plant, seed, gap)

        def meanwhile(passed: float) -> None:
            traffic.shift = float(int(passed / DRIFT_S) % 2)

        injector.run(60 * minutes, meanwhile)
        traffic.stop()
        verdict = judge(plant, traffic.ledger, settle(plant))
    title = f"{minutes:g} minutes, seed {seed}, {time.monotonic() - started:.0f} s in all"
    write("chaos", title, rows(injector.done, injector.lost_bytes, traffic.ledger, verdict))
    for promise in verdict.broken:
        click.echo(f"broken: {promise}")
    if keep or verdict.broken:
        click.echo(f"The processes' logs: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bool(verdict.broken))


def rows(
    faults: Counter[str], lost_bytes: int, ledger: Ledger, verdict: Verdict
) -> list[ResultRow]:
    """Return the figures as rows of a table."""
    figures = {
        "faults": faults.total(),
        **{f"  {kind}": number for kind, number in sorted(faults.items())},
        "bytes that Redis forgot by power loss": lost_bytes,
        "events sent again by clients, answer lost": ledger.resent,
        "events sent again by clients, answered before": ledger.sent_twice,
        "events promised (answered published or spooled)": verdict.promised,
        "  of these answered as spooled": ledger.spooled,
        "events answered queued: no promise": ledger.queued,
        "events without id, answer lost: fate read from the log": ledger.unknown,
        "events published (distinct in the log)": verdict.in_log,
        "copies of them in the log": verdict.copies,
        "events counted": verdict.counted,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "alerts expected (undisturbed run)": verdict.alerts_expected,
        "alerts got": verdict.alerts,
        "alerts twice": verdict.alerts_twice,
        "dead letters": verdict.dead,
        "promises broken": len(verdict.broken),
    }
    return [{"what": what, "number": number} for what, number in figures.items()]


if __name__ == "__main__":
    main()
