"""Chaos: what becomes of events, alerts and people's knowledge of them while processes are killed,
Redis refuses, forgets or fails over, disks are full, models hang and clients misbehave.

    python -m benchmarks.chaos --seconds 1800            # every fault of one Redis
    python -m benchmarks.chaos --seconds 600 --cluster   # every fault of a Redis Cluster
    python -m benchmarks.chaos --seconds 40 --faults full_redis,kill_worker

Prints a table, writes benchmarks/results/chaos.json, or chaos_cluster.json; the exit code is 1 if
anything was lost without a word, doubled or judged otherwise, if a process ended by itself, or if
all is not well a minute after the last fault.
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
from benchmarks.chaos.faults.fault import EVERYWHERE, On
from benchmarks.chaos.trial import Trial, run
from benchmarks.results import ResultRow, write

WELL = "seconds from the last fault until all is well"
TOLD = "  slowest telling of a loss, seconds"
LONGEST = {WELL, TOLD}
"""Figures of which the largest counts, not the sum."""
SHARES = {On.ALONE: 0.8, On.SENTINELS: 0.2, On.CLUSTER: 0.2}
"""Shares of the time of each kind of Redis, if several are needed."""
DRIFT_S = 10.0
"""Seconds for which the temperature is calm, then drifted, in turns."""


SMOKE = ("--seconds", "6", "--gap", "1", "--faults", "kill_worker,kill_api,kill_app,kill_redis")
"""Arguments of the smallest run, which CI starts."""


def chosen(_: click.Context, __: click.Parameter, names: str | None) -> list[Fault]:
    """Read names of faults, separated by commas."""
    wanted = names.split(",") if names else []
    unknown = [name for name in wanted if name not in FAULTS]
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}; there are {', '.join(FAULTS)}")
    return [FAULTS[name] for name in wanted]


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), default=600.0, show_default=True)
@click.option(
    "--faults",
    callback=chosen,
    help="Names of faults, separated by commas.  [default: all that do not need a cluster]",
)
@click.option(
    "--cluster", is_flag=True, help="Use a Redis Cluster, with all faults that can come there."
)
@click.option(
    "--seed", default=1, show_default=True, help="Of the events, the faults and their instants."
)
@click.option("--gap", default=2.5, show_default=True, help="Mean seconds between two faults.")
@click.option("--rate", default=200.0, show_default=True, help="Most events a second.")
@click.option("--keep", is_flag=True, help="Keep the folder of the processes' logs.")
def main(
    seconds: float,
    faults: list[Fault],
    seed: int,
    gap: float,
    rate: float,
    *,
    cluster: bool,
    keep: bool,
) -> None:
    """Disturb real processes for a while, and verify what they counted and said."""
    faults = faults or [one for one in FAULTS.values() if cluster or one.on != {On.CLUSTER}]
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    started = time.monotonic()
    trials = []
    for on, some, share in stores(faults, cluster=cluster):
        (folder / on.value).mkdir()
        trials.append(
            run(
                folder / on.value,
                some,
                on,
                seconds=share * seconds,
                seed=seed,
                rate=rate,
                gap_s=gap,
                shift=lambda passed: float(int(passed / DRIFT_S) % 2),
            )
        )
    title = f"{seconds:g} s of faults, seed {seed}, {time.monotonic() - started:.0f} s in all"
    write("chaos_cluster" if cluster else "chaos", title, rows(trials))
    broken = [promise for trial in trials for promise in trial.verdict.broken]
    for promise in broken:
        click.echo(f"broken: {promise}")
    if keep or broken:
        click.echo(f"The processes' logs: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bool(broken))


def stores(faults: Sequence[Fault], *, cluster: bool) -> list[tuple[On, list[Fault], float]]:
    """Return the kinds of Redis that are needed, each with its faults and its share of the time:
    what ends the one is mended by the other.
    """
    kinds = [On.CLUSTER] if cluster else _needed(faults)
    whole = sum(SHARES[on] for on in kinds)
    return [(on, [one for one in faults if on in one.on], SHARES[on] / whole) for on in kinds]


def _needed(faults: Sequence[Fault]) -> list[On]:
    """Return the kinds on which faults come that need a certain one; a Redis alone if none does."""
    needed = {min(one.on, key=list(On).index) for one in faults if one.on != EVERYWHERE}
    return [on for on in On if on in needed] or [On.ALONE]


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
        **{f"  {FAULTS[name].what}": times for name, times in sorted(trial.faults.items())},
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
        "failovers after which panes that were judged are missing": trial.went_back,
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
