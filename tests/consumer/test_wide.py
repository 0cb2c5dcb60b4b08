"""Wide models from the log to the snapshot: numbers and categories, segments, all detectors."""

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.counting.detectors import DETECTORS
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.judging.advance import advance
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.contract.pane import Alarm
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from tests.consumer.builders import NOON, count, event

ROWS, EVENTS = 1000, 600
REGIONS = ["north", "south", "east"]


def rows(random: np.random.Generator, width: int, number: int) -> list[list[object]]:
    """Draw rows: a region, then numbers and categories in turn."""
    numbers = random.normal(size=(number, width)).round(3).tolist()
    regions = random.choice(REGIONS, number).tolist()
    return [
        [
            region,
            *(
                f"c{int(abs(value) * 40)}" if place % 2 else value
                for place, value in enumerate(row)
            ),
        ][:width]
        for region, row in zip(regions, numbers, strict=True)
    ]


def version_of(random: np.random.Generator, width: int) -> PublishedVersion:
    features = [
        Feature(f"f{place}", "categorical" if place % 2 == 0 else "numeric", nullable=True)
        for place in range(width)
    ]
    schema = Schema(tuple(features), prediction="numeric", segments=("f0",))
    found = rows(random, width, ROWS)
    values = [
        [row[place] for row in found]
        if feature.kind == "categorical"
        else np.array([row[place] for row in found], dtype=float)
        for place, feature in enumerate(features)
    ]
    profile = build_profile(schema, values, random.normal(size=ROWS))
    return PublishedVersion(new_manifest("wide", "1.0.0", task="regression"), schema, profile)


@pytest.mark.parametrize(
    "width",
    [
        pytest.param(width, marks=pytest.mark.long if width > 256 else [])
        for width in (127, 128, 256, 1000, 2000)
    ],
)
def test_every_column_of_a_wide_model_is_counted_and_judged(width: int) -> None:
    """The last column that broke, on a half of the rows that is missing, is CRITICAL, alone; the
    counts of every column are those of a plain count; a detector's state goes through the
    checkpoint.
    """
    random = np.random.default_rng(width)
    version = version_of(random, width)
    cells = CellMap(version.schema, version.reference)
    sent = rows(random, width, EVENTS)
    for row in sent[::2]:
        row[-1] = None
    log = [
        event(NOON + 20 * place, place + 1, row, prediction=float(random.normal()))
        for place, row in enumerate(sent)
    ]
    policy = CountingPolicy(pane_events=200, detectors=tuple(DETECTORS))
    found = count(log, {"1.0.0": cells}, policy, [250])
    assert not found.dead
    total = found.cells({"1.0.0": cells})["1.0.0"]
    counted = np.split(total, version.reference.offsets[1:-1])
    for place in (0, 1, 126, width - 2, width - 1):
        column = version.reference.columns[place]
        values = [row[place] for row in sent]
        given = values if column.kind == "categorical" else np.array(values, dtype=float)
        plain = np.bincount(column.cells(given), minlength=len(column.counts))
        assert counted[place].tolist() == plain.tolist()
    alarms = [entry.column for _, _, entry in found.panes if isinstance(entry, Alarm)]
    assert f"f{width - 1}" in alarms

    judged = JudgedVersion.of(version)
    entries = [(f"{number}-{suffix}", entry) for number, suffix, entry in found.panes]
    outputs = advance(JudgingState(), entries, "wide", {"1.0.0": judged}, JudgingPolicy())
    snapshot = outputs.current["1.0.0"]
    assert len(snapshot.features) == width
    bad = [one.name for one in snapshot.features if one.severity == "critical"]
    assert bad == [f"f{width - 1}"]
    assert snapshot.segments is not None
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot) == snapshot
