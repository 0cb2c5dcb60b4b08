"""A reference made of panes: their sum, whatever their resolution, and the calibration that goes
with it.
"""

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.ordered.accepting import proposed
from driftgauge.shared.contract.pane import Pane
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.segments import SegmentLayout
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from tests.consumer import builders
from tests.consumer.builders import NOON, cell_map, count, event, tick, traffic
from tests.consumer.builders import SCHEMA as MIXED
from tests.consumer.judging.builders import PUBLISHED, Stream
from tests.consumer.judging.weeks import (
    FIRST_DAY,
    PER_DAY,
    SCHEMA,
    cells_of,
    panes,
    rows,
    version_of,
)

VERSION = version_of()


def published(version: JudgedVersion) -> PublishedVersion:
    return PublishedVersion(
        new_manifest("plant", "1.0.0", "monitor"), SCHEMA, version.reference, version.calibration
    )


def production(
    days: int, seed: int = 7, shift: float = 2.0
) -> tuple[list[Pane], list[np.ndarray | list[str]]]:
    """Return panes of some days that are not as the reference was, and their rows."""
    columns = rows(np.random.default_rng(seed), days, shift)
    found = [
        entry for _, entry in panes(VERSION, columns, FIRST_DAY + 400) if isinstance(entry, Pane)
    ]
    return found, columns


def test_the_counts_are_those_of_the_rows() -> None:
    """The new reference has exactly the cells that the rows themselves have, in the cells of the
    registered one.
    """
    found, columns = production(21)
    made = proposed(published(VERSION), found, 1000)
    for reference, cells in zip(
        made.profile.columns, cells_of(VERSION.reference, columns), strict=True
    ):
        assert reference.counts == np.bincount(cells, minlength=len(reference.counts)).tolist()
        assert sum(reference.counts) == made.profile.rows == 21 * PER_DAY
    assert [column.bin_of_cell for column in made.profile.columns] == [
        column.bin_of_cell for column in VERSION.reference.columns
    ]
    assert (made.start, made.end) == (found[0].start, found[-1].end)


def test_with_few_weeks_order_and_thresholds_stay_and_the_weeks_are_the_new_ones() -> None:
    """What 3 weeks cannot tell is taken from before; what they are held against is their own
    days.
    """
    found, _ = production(21)
    before = VERSION.calibration
    made = proposed(published(VERSION), found, 1000).calibration
    assert made is not None
    assert before is not None
    assert made.features == before.features
    assert (made.timeline.first_day, made.timeline.weeks) == (FIRST_DAY + 400, 3)
    assert made.timeline.totals[: made.timeline.bins[0]].sum() == 21 * PER_DAY
    assert made.realised is None
    assert JudgedVersion(SCHEMA, VERSION.reference, made).week is not None


def test_with_8_weeks_the_calibration_is_made_again() -> None:
    """Enough days are a calibration of their own, with the thresholds that they replay."""
    found, _ = production(70)
    steps = []
    made = proposed(published(VERSION), found, 1000, lambda: steps.append(1)).calibration
    assert made is not None
    assert made.realised is not None
    assert made.timeline.weeks == 10
    assert {feature.name: feature.order for feature in made.features}["hour"] == "clock"
    assert steps


def test_a_partial_first_and_last_day_is_no_day() -> None:
    """Half a day would make every week of the new reference unlike the coming ones."""
    found, _ = production(16)
    made = proposed(published(VERSION), found[3:-3], 1000)
    assert made.calibration is not None
    assert made.calibration.timeline.weeks == 2
    assert made.calibration.timeline.first_day == FIRST_DAY + 401


def test_too_little_is_refused() -> None:
    """Rows below the least, or no week for columns that are judged on weeks, are said with what to
    do.
    """
    found, _ = production(14)
    with pytest.raises(BadData, match=r"96 rows .* needs 1,000\. Choose a longer window or range"):
        proposed(published(VERSION), found[:4], 1000)
    with pytest.raises(BadData, match="at least 7 are needed"):
        proposed(published(VERSION), found[:12], 100)
    other = msgspec.structs.replace(
        published(VERSION), manifest=new_manifest("plant", "2.0.0", "monitor")
    )
    with pytest.raises(BadData, match="0 rows of plant 2"):
        proposed(other, found, 1000)


def test_an_uncalibrated_version_needs_no_days() -> None:
    """Rows that are taken as exchangeable make a reference within an hour."""
    entries = Stream(np.random.default_rng(0)).panes(8).entries
    made = proposed(
        PUBLISHED["1.0.0"], [entry for _, entry in entries if isinstance(entry, Pane)], 1000
    )
    assert made.profile.rows == 2000
    assert made.calibration is None


def test_segments_are_counted_from_panes_and_roll_ups_alike() -> None:
    """The new reference has the registered one's segments, with the counts of the rows themselves:
    whether it is made of panes, of hours or of days.
    """
    version = builders.published(rows=600, segments=("city",))
    drawn = traffic(np.random.default_rng(3), 1200, shift=1.0)
    log = [event(NOON + 6_000 * place, place + 1, row) for place, row in enumerate(drawn)]
    counted = count(
        [*log, tick(NOON + 200_000_000)],
        {"1.0.0": cell_map(version)},
        CountingPolicy(pane_events=50),
    )
    columns = [
        [row[place] for row in drawn]
        if feature.kind == "categorical"
        else np.array([row[place] for row in drawn], float)
        for place, feature in enumerate(MIXED.features)
    ]
    layout, cells = (
        SegmentLayout.of(version.reference),
        version.reference.cells([*columns, np.full(1200, 0.5)]),
    )
    assert layout is not None
    expected = layout.reference(layout.counts(cells))
    hours, days = (
        [one.pane for name, one in counted.rollups if name == span] for span in ("hour", "day")
    )
    for found in (counted.closed, hours, days):
        made = proposed(version, found, 1000)
        assert (made.profile.rows, made.profile.segments) == (1200, expected)
