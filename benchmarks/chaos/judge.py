"""The log against the promises, and what the processes wrote of it; counts and alerts have files of
their own.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.chaos.alerts import compare_alerts
from benchmarks.chaos.counts import compare_counts
from benchmarks.chaos.oracle import Batch, batch_of
from benchmarks.chaos.plant.plant import Plant
from benchmarks.chaos.record import Record
from benchmarks.chaos.traffic import Ledger
from benchmarks.chaos.verdict import Verdict

BAD_LEVELS = {"error", "critical"}
AWAY = r"fails \((ConnectionError|TimeoutError|BusyLoadingError|ClusterDownError)"
"""What a background task of an API logs while Redis is away."""


def judge(
    plant: Plant, ledger: Ledger, record: Record, late: Sequence[str], logged: Sequence[str] = ()
) -> Verdict:
    """Judge a plant that has settled.

    Parameters
    ----------
    record
        What stood in the logs, taken after all had ended.
    late
        Promises that were not kept before.
    logged
        Regular expressions of the errors in the logs that the faults explain.
    """
    verdict = Verdict(broken=list(late))
    verdict.require(not ledger.failed, f"predictions failed: {ledger.failed[:3]}")
    with plant.client() as client:
        for model, version in plant.versions.items():
            batches = []
            gone: set[str] = set()
            for partition in range(version.manifest.partitions):
                place = model, partition
                batch, lost = batch_of(record.entries(place)), batch_of(record.gone[place])
                gone |= lost.ids
                compare_counts(verdict, client, version, place, batch, whole=not lost.ids)
                batches.append(batch)
            _promises(verdict, model, batches, gone, ledger)
        compare_alerts(verdict, client, plant, record)
    _logs(verdict, plant.folder, [AWAY, *logged])
    return verdict


def _promises(
    verdict: Verdict, model: str, batches: list[Batch], forgotten: set[str], ledger: Ledger
) -> None:
    """Every event that was promised is in the log, once, but for those that a fault took out."""
    promised = {name for of, name in ledger.safe if of == model}
    absent = promised - set().union(*(batch.ids for batch in batches))
    gone = absent - forgotten
    times = Counter(event["id"] for batch in batches for event in batch.events)
    verdict.promised += len(promised)
    verdict.forgotten += len(absent) - len(gone)
    verdict.lost += len(gone)
    verdict.require(
        not gone,
        f"{model}: {len(gone)} promised events are not in the log, such as {sorted(gone)[:3]}",
    )
    twice = sum(times.values()) - len(times)
    verdict.require(not twice, f"{model}: {twice} ids are in the log as different events")


def _logs(verdict: Verdict, folder: Path, logged: Sequence[str]) -> None:
    """No process met anything that it did not expect, or that no fault explains."""
    for path in sorted(folder.glob("*.log")):
        bad = [
            line
            for line in path.read_text(errors="replace").splitlines()
            if _is_bad(line) and not any(re.search(pattern, line) for pattern in logged)
        ]
        verdict.require(not bad, f"{path.name}: {len(bad)} errors, such as {bad[:2]}")


def _is_bad(line: str) -> bool:
    """Return whether a line of a log is an error, or of a stack trace, or no line of ours."""
    try:
        return bool(json.loads(line)["level"] in BAD_LEVELS)
    except (json.JSONDecodeError, KeyError, TypeError):
        return True
