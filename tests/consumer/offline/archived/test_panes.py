"""An archive is counted as its log was: the same panes, alarms and joined labels."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.offline.archived.panes import Past
from driftgauge.shared.archive.pruning import days
from driftgauge.shared.archive.rows import Rows
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.archive.upkeep.compacting import compact
from driftgauge.shared.archive.writing import write_groups
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.events import LABEL, NEW_REFERENCE, Label, encode
from driftgauge.shared.contract.pane import (
    Alarm,
    Delta,
    NewReference,
    Pane,
    PaneEntry,
    Watermark,
)
from driftgauge.shared.reference.history import ReferenceChange, encode_change
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.consumer.builders import NOON, count, event, published, raw, tick, traffic

MODEL = "plant"
HOUR_MS = 3_600_000


def version(*, labels: bool = False) -> PublishedVersion:
    made = published(rows=3000, segments=("city",))
    return msgspec.structs.replace(
        made, manifest=msgspec.structs.replace(made.manifest, labels=labels)
    )


def archived(
    store: FolderStore, entries: Sequence[Entry], made: PublishedVersion, partition: int = 0
) -> None:
    """Archive a log as the worker does, in cuts of 700 entries."""
    edges = [*range(0, len(entries), 700), len(entries)]
    before = "0-0"
    for first, last in itertools.pairwise(edges):
        part = [one for one in entries[first:last] if len(one[1]) > 2]
        batch = columns.read(part)
        rows, ids = Rows(0), [EntryId.parse(entry_id) for entry_id, _ in part]
        ms, numbers = (np.array([one[place] for one in ids]) for place in (0, 1))
        if batch.predictions:
            at = batch.positions
            rows.add_predictions(made.schema.stream, batch.predictions, ms[at], numbers[at])
        if batch.labels.events:
            at = batch.labels.positions
            rows.add_labels(batch.labels.events, ms[at], numbers[at])
        end = str(ids[-1])
        write_groups(store, MODEL, partition, (before, end), rows.groups(), lambda: None)
        before = end


def label(ms: int, number: int, prediction: int, value: float) -> Entry:
    entry = raw(f"{ms}-{number}", number, encode(Label(str(prediction), value, ms)), b"labels")
    entry[1][1] = LABEL
    return entry


def again(
    folder: Path, made: PublishedVersion, policy: CountingPolicy, wanted: Range | None = None
) -> list[PaneEntry]:
    told: list[str] = []
    past = Past(
        FolderStore(folder), wanted or Range(MODEL), {"1.0.0": made}, (), [policy], told.append
    )
    found = list(past.panes())
    assert not told
    return [one for one in found if not isinstance(one, Watermark)]


def live(
    entries: Sequence[Entry], made: PublishedVersion, policy: CountingPolicy
) -> list[PaneEntry]:
    found = count(entries, {"1.0.0": CellMap.of(made)}, policy).panes
    return [one for _, _, one in found if not isinstance(one, Watermark)]


def dense(number: int, spacing_ms: int) -> list[Entry]:
    """Make traffic that drifts at its end, with late events, over a midnight."""
    random = np.random.default_rng(3)
    rows = traffic(random, number * 2 // 3) + traffic(random, number - number * 2 // 3, shift=1.5)
    return [
        event(
            NOON + spacing_ms * place,
            place + 1,
            row,
            time=NOON + spacing_ms * place - (9 * HOUR_MS if place % 17 == 0 else 40),
            prediction=float(place % 50),
            latency_ms=place % 7 / 2,
            source="shadow" if place % 13 == 0 else "online",
        )
        for place, row in enumerate(rows)
    ]


def test_a_log_and_its_archive_give_the_same_panes_and_alarms(tmp_path: Path) -> None:
    """Every pane is the same to the last byte, and every alarm, late events and a midnight
    included; and still after the files were joined.
    """
    made, policy = version(), CountingPolicy(pane_events=150, expected_events_per_day=5000)
    entries = dense(16_000, 1900)
    store = FolderStore(tmp_path)
    archived(store, entries, made)
    last = EntryId.parse(entries[-1][0]).ms
    wanted = live([*entries, tick(last + HOUR_MS)], made, policy)
    found = again(tmp_path, made, policy)
    panes, expected = ([one for one in part if isinstance(one, Pane)] for part in (found, wanted))
    assert panes[:-1] == expected[:-1]
    assert panes[-1].blocks == expected[-1].blocks
    alarms = [one for one in found if isinstance(one, Alarm)]
    assert alarms
    assert alarms == [one for one in wanted if isinstance(one, Alarm)]
    for day in list(days(store, MODEL, "predictions")):
        assert compact(store, MODEL, day, NOON)
    assert again(tmp_path, made, policy) == found


def test_labels_revise_the_same_panes(tmp_path: Path) -> None:
    """Labels are joined with corrections, early ones too: what they revise in each pane is the
    same.
    """
    made, policy = version(labels=True), CountingPolicy(pane_events=150)
    entries = dense(6000, 900)
    for place in range(0, 5000, 2):
        ms = NOON + 900 * place + (400_000 if place % 20 else -50_000) + 450
        entries.append(label(max(ms, NOON + 1), 10_000 + place, place + 1, float(place % 40)))
        if place % 50 == 0:
            entries.append(label(ms + 900_000, 20_000 + place, place + 1, 7.0))
    entries.sort(key=lambda entry: EntryId.parse(entry[0]))
    archived(FolderStore(tmp_path), entries, made)
    last = EntryId.parse(entries[-1][0]).ms
    wanted = live([*entries, tick(last + HOUR_MS)], made, policy)
    found = again(tmp_path, made, policy)
    told, expected = ([one for one in part if isinstance(one, Delta)] for part in (found, wanted))
    assert sum(one.labelled for delta in told for one in delta.revised) > 2000
    assert sum(one.corrected for delta in told for one in delta.revised) > 90
    assert [one.revised for one in told] == [one.revised for one in expected]


@pytest.mark.parametrize("spacing_ms", [31_000, 400_000, 5_000_000])
def test_panes_that_ticks_closed_have_the_same_rows(tmp_path: Path, spacing_ms: int) -> None:
    """In a sparse log a tick closes an old pane before the next event: panes hold the same rows."""
    made, policy = version(), CountingPolicy(pane_events=100)
    random = np.random.default_rng(5)
    entries: list[Entry] = []
    ms, started = NOON, 0
    for number, row in enumerate(traffic(random, 900), 1):
        step = int(random.exponential(spacing_ms)) + 1
        old = started + policy.pane_seconds * 1000
        at = max(ms + 5000, old)
        if entries and at < ms + step:
            entries.append(tick(at))
            started = 0
        ms += step
        if not started or ms // 86_400_000 > started // 86_400_000:
            started = ms
        elif ms >= old:  # it closed the pane itself
            started = 0
        entries.append(event(ms, number, row))
    archived(FolderStore(tmp_path), entries, made)
    wanted = [one for one in live(entries, made, policy) if isinstance(one, Pane)]
    found = [one for one in again(tmp_path, made, policy) if isinstance(one, Pane)]
    assert found[: len(wanted)] == wanted
    assert len(wanted) >= 9


def test_a_range_has_the_panes_of_the_whole_from_its_midnight_on(tmp_path: Path) -> None:
    """Panes end at midnight, so those of a part of the archive that begins there are those of the
    whole; late rows are where they were counted.
    """
    made, policy = version(), CountingPolicy(pane_events=150, detectors=())
    archived(FolderStore(tmp_path), dense(14_000, 1990 * 2), made)
    midnight = NOON + 12 * HOUR_MS

    def cells(found: Sequence[PaneEntry]) -> list[Any]:
        panes = [one for one in found if isinstance(one, Pane)]
        return [(one.start, one.events, one.blocks) for one in panes]

    whole = cells(again(tmp_path, made, policy))
    part = cells(again(tmp_path, made, policy, Range(MODEL, since=midnight)))
    assert part == [one for one in whole if one[0] >= midnight]
    before = cells(again(tmp_path, made, policy, Range(MODEL, until=midnight)))
    assert before == whole[: len(before)]
    assert len(before) + len(part) == len(whole)


def test_a_change_of_reference_stands_at_its_time(tmp_path: Path) -> None:
    """The pane closes there, and what comes later is counted by the new reference; a change from
    before the range holds from its beginning on.
    """
    made, policy = version(), CountingPolicy(pane_events=150, expected_events_per_day=5000)
    versions = {"1.0.0": made, "1.0.0#1": made}
    entries = dense(3000, 1900)
    archived(FolderStore(tmp_path), entries, made)
    change = ReferenceChange("1.0.0", 1, 1, "ann", "why")
    for row in (0, 1000):
        at = EntryId.parse(entries[row][0]).ms - 300
        written = f"{at}-0".encode(), [b"t", NEW_REFERENCE, b"e", encode_change(change)]
        log = [*entries[:row], written, *entries[row:]]
        maps = {name: CellMap.of(one) for name, one in versions.items()}
        wanted = [one for _, _, one in count(log, maps, policy).panes]
        told: list[str] = []
        past = Past(
            FolderStore(tmp_path), Range(MODEL), versions, [(at, change)], [policy], told.append
        )
        found = list(past.panes())
        assert found[: len(wanted)] == wanted
        assert sum(isinstance(one, NewReference) for one in found) == 1
