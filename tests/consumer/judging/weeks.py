"""A plant whose weeks differ: a year of rows in time order, its version, its panes."""

import numpy as np

from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.ordered.days import DAY_MS, timeline_of
from driftgauge.consumer.judging.ordered.order import calibrated
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import Block, Pane, PaneEntry, pack_counts
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.schema import Feature, Schema
from tests.consumer.judging.builders import NO_LATENCY

PER_DAY = 96
SCHEMA = Schema(
    (
        Feature("slow", "numeric", nullable=True),
        Feature("noise", "numeric", nullable=True),
        Feature("hour", "numeric", nullable=True),
        Feature("state", "categorical", nullable=True),
    )
)
FIRST_DAY = 20_000


def times(days: int, first_day: int = FIRST_DAY) -> Ints:
    return first_day * DAY_MS + np.arange(days * PER_DAY) * (DAY_MS // PER_DAY)


def rows(
    random: np.random.Generator, days: int, shift: float = 0.0
) -> list[np.ndarray | list[str]]:
    """Draw rows: `slow` has a level of its own each week, `state` follows it, `noise` is
    independent, `hour` the clock.
    """
    level = np.repeat(random.normal(0, 0.6, -(-days // 7)), 7 * PER_DAY)[: days * PER_DAY]
    slow = level + random.normal(0, 1, days * PER_DAY) + shift
    hour = np.tile(np.arange(PER_DAY) // 4, days).astype(float)
    return [
        slow,
        random.normal(0, 1, days * PER_DAY),
        hour,
        np.where(slow > 1, "high", "low").tolist(),
    ]


def profile_of(columns: list[np.ndarray | list[str]]) -> ReferenceProfile:
    return build_profile(SCHEMA, columns, None)  # type: ignore[arg-type]  # lists of columns


def cells_of(profile: ReferenceProfile, columns: list[np.ndarray | list[str]]) -> list[Ints]:
    return [column.cells(values) for column, values in zip(profile.columns, columns, strict=True)]


def calibration_of(
    profile: ReferenceProfile, columns: list[np.ndarray | list[str]], **more: object
) -> Calibration:
    found = times(len(columns[0]) // PER_DAY)
    return calibrated(profile, timeline_of(profile, [*cells_of(profile, columns)], found), **more)  # type: ignore[arg-type]


def version_of(days: int = 112, seed: int = 0) -> JudgedVersion:
    columns = rows(np.random.default_rng(seed), days)
    profile = profile_of(columns)
    return JudgedVersion(SCHEMA, profile, calibration_of(profile, columns))


def panes(
    version: JudgedVersion, columns: list[np.ndarray | list[str]], first_day: int
) -> list[tuple[str, PaneEntry]]:
    """Return four panes a day, the last of each closed at its midnight."""
    offsets = version.reference.offsets[:-1]
    cells = np.stack(cells_of(version.reference, columns)) + offsets[:, None]
    size, part = int(version.reference.offsets[-1]), PER_DAY // 4
    found: list[tuple[str, PaneEntry]] = []
    for number, start in enumerate(range(0, cells.shape[1], part), 1):
        counts = np.bincount(cells[:, start : start + part].ravel(), minlength=size)
        block = Block(part, pack_counts(counts), NO_LATENCY, {"online": part})
        begin = first_day * DAY_MS + start * DAY_MS // PER_DAY
        pane = Pane(
            0, number, begin, begin + DAY_MS // 4, part, start + part, None, {"1.0.0": block}
        )
        found.append((f"{number}-0", pane))
    return found
