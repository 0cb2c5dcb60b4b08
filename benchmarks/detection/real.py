"""Rows of real files in random order: alarms against what the budget allows."""

from pathlib import Path

from scipy import stats

from benchmarks.detection.contestants import ours
from benchmarks.detection.scoring import TAIL, events_per_alarm
from benchmarks.detection.traffic import read, resampled
from benchmarks.results import ResultRow

FILES = {"steel": "steel.csv", "bike": "bike_sharing_hour.csv", "credit": "credit_default.csv"}
CONTESTANTS = [
    ours(name, budget)
    for name in ("e_detector", "integrity", "adwin")
    for budget in (10_000, 100_000)
]
RUNS = 3
"""References drawn for each file."""


def rows(folder: Path, events: int) -> list[ResultRow]:
    """Count the alarms in so many events of each file that is there."""
    found: list[ResultRow] = []
    for name, file in FILES.items():
        if not (folder / file).exists():
            print(f"{folder / file} is not there: its rows are left out.")
            continue
        columns = read(folder / file)
        streams = [resampled(columns, seed, events // RUNS) for seed in range(RUNS)]
        for contestant in CONTESTANTS:
            alarms = sum(1 for stream in streams for _ in contestant.alarms(stream))
            most = float(stats.chi2.ppf(1 - TAIL, 2 * alarms + 2) / 2)
            least = float(stats.chi2.ppf(TAIL, 2 * alarms) / 2) if alarms else 0.0
            found.append(
                {
                    "file": f"{name}, {len(columns)} features",
                    "detector": contestant.name,
                    "budget": contestant.setting,
                    "allowed": round(
                        events / float(contestant.setting.split()[-1].replace(",", "")), 1
                    ),
                    "alarms": f"{alarms} ({least:.1f}-{most:.1f})",
                    "events per false alarm": str(events_per_alarm(alarms, events)),
                }
            )
    return found
