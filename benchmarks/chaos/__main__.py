"""Chaos: what becomes of events, alerts and people's knowledge of them while processes are killed,
Redis refuses, forgets or fails over, disks are full, models hang and clients misbehave.

    python -m benchmarks.chaos --seconds 1800            # every fault
    python -m benchmarks.chaos --seconds 40 --faults full_redis,kill_worker

Prints a table, writes benchmarks/results/chaos.json; the exit code is 1 if anything was lost
without a word, doubled or judged otherwise, if a process ended by itself, or if all is not well a
minute after the last fault.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from operator import add
from pathlib import Path

import click

from benchmarks.chaos.faults import FAULTS, Fault
from benchmarks.chaos.trial import Trial, run
from benchmarks.results import ResultRow, write

WELL = "seconds from the last fault until all is well"
TOLD = "  slowest telling of a loss, seconds"
LONGEST = {WELL, TOLD}
"""Figures of which the largest counts, not the sum."""
SENTINELS_SHARE = 0.2
"""Share of the time that Redis stands behind Sentinels."""
DRIFT_S = 10.0
"""Seconds for which the temperature is calm, then drifted, in turns."""


SMOKE = ("--seconds", "6", "--gap", "1", "--faults", "kill_worker,kill_api,kill_app,kill_redis")
"""Arguments of the smallest run, which CI starts."""


def chosen(_: click.Context, __: click.Parameter, names: str | None) -> list[Fault]:
    """Read names of faults, separated by commas; all of them if there are none."""
    wanted = names.split(",") if names else list(FAULTS)
    unknown = [name for name in wanted if name not in FAULTS]
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}; there are {', '.join(FAULTS)}")
    return [FAULTS[name] for name in wanted]


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), default=600.0, show_default=True)
@click.option(
    "--faults", callback=chosen, help="Names of faults, separated by commas.  [default: all]"
)
@click.option(
    "--seed", default=1, show_default=True, help="Of the events, the faults and their instants."
)
@click.option("--gap", default=2.5, show_default=True, help="Mean seconds between two faults.")
@click.option("--rate", default=200.0, show_default=True, help="Most events a second.")
@click.option("--keep", is_flag=True, help="Keep the folder of the processes' logs.")
def main(
    seconds: float, faults: list[Fault], seed: int, gap: float, rate: float, *, keep: bool
) -> None:
    """Disturb real processes for a while, and verify what they counted and said."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    started = time.monotonic()
    trials = []
    for name, some, share in stores(faults):
        (folder / name).mkdir()
        trials.append(
            run(
                folder / name,
                some,
                seconds=share * seconds,
                seed=seed,
                rate=rate,
                gap_s=gap,
                shift=lambda passed: float(int(passed / DRIFT_S) % 2),
            )
        )
    title = f"{seconds:g} s of faults, seed {seed}, {time.monotonic() - started:.0f} s in all"
    write("chaos", title, rows(trials))
    broken = [promise for trial in trials for promise in trial.verdict.broken]
    for promise in broken:
        click.echo(f"broken: {promise}")
    if keep or broken:
        click.echo(f"The processes' logs: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bool(broken))


def stores(faults: Sequence[Fault]) -> list[tuple[str, list[Fault], float]]:
    """Return the stores that are needed, each with its faults and its share of the time: a Redis
    alone, and one behind Sentinels, since what ends the one is mended by the other.
    """
    alone = [one for one in faults if not one.sentinels]
    behind = [one for one in faults if one.sentinels or not one.of_redis]
    if not any(one.sentinels for one in faults):
        return [("alone", alone, 1.0)]
    if not any(one.of_redis for one in alone):
        return [("behind", behind, 1.0)]
    return [("alone", alone, 1 - SENTINELS_SHARE), ("behind", behind, SENTINELS_SHARE)]


def rows(trials: Sequence[Trial]) -> list[ResultRow]:
    """Return the figures of all trials as rows of a table."""
    total: dict[str, float] = {}
    for trial in trials:
        for what, number in figures(trial).items():
            join = max if what in LONGEST else add
            total[what] = join(total.get(what, 0), number)
    return [{"what": what, "number": number} for what, number in total.items()]


def figures(trial: Trial) -> dict[str, float]:
    """Return the figures of a trial in words."""
    ledger, verdict = trial.ledger, trial.verdict
    return {
        "faults": trial.faults.total(),
        **{f"  {one.what}": trial.faults[name] for name, one in FAULTS.items()},
        "bytes that Redis forgot by power loss": trial.lost_bytes,
        WELL: round(trial.well_after_s, 1),
        "events sent again by clients, answer lost": ledger.resent,
        "events sent again by clients, answered before": ledger.sent_twice,
        "events promised (answered published or spooled)": verdict.promised,
        "  of these answered as spooled": ledger.spooled,
        "events answered queued: no promise": ledger.queued,
        "events without id, answer lost: fate read from the log": ledger.unknown,
        "events accepted by the client's spool in applications": ledger.logged,
        "predictions answered": ledger.predicted,
        "predictions of a model that hung, answered 503": ledger.given_up,
        "events published (distinct in the log)": verdict.in_log,
        "copies of them in the log": verdict.copies,
        "events counted": verdict.counted,
        "lost without a word": verdict.lost,
        "promised, taken out of Redis by a fault, and told": verdict.forgotten,
        "  told with their number, promised or not": trial.told_events,
        TOLD: round(trial.told_after_s, 1),
        "doubled": verdict.doubled,
        "alerts expected (undisturbed run)": verdict.alerts_expected,
        "alerts got": verdict.alerts,
        "alerts twice": verdict.alerts_twice,
        "dead letters": verdict.dead,
        "promises broken": len(verdict.broken),
    }


if __name__ == "__main__":
    main()
