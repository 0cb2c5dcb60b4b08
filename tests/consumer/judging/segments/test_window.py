"""Segments of a window: PSI as of single columns, one budget for all tests, one alert per segment,
and who explains whom.
"""

import dataclasses
import itertools
from typing import Any

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.judging.advance import advance
from driftgauge.consumer.judging.alerts.actions import Circumstances, recommend
from driftgauge.consumer.judging.alerts.inhibition import cause_of
from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.evaluating.budget import PAST_DAYS, PERFORMANCE_TESTS, levels
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.evaluating.segment_reference import SegmentReference
from driftgauge.consumer.judging.labelled.performance import Labelled
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules.findings import is_judged, is_of_reference
from driftgauge.consumer.judging.segments.drift import psi_by_segment
from driftgauge.consumer.judging.segments.report import report
from driftgauge.consumer.judging.segments.window import SegmentWindow
from driftgauge.consumer.judging.snapshotting import Outputs
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.consumer.judging.windows.labelled import LabelledWindow
from driftgauge.shared.contract.alerts import fingerprint
from driftgauge.shared.contract.pane import (
    DELAY_EDGES_S,
    Block,
    Delta,
    Pane,
    PaneEntry,
    Revised,
    pack_changes,
    pack_counts,
)
from driftgauge.shared.performance import PerformanceReference, Sums
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.rules.drift import SEGMENT_PSI
from driftgauge.shared.rules.performance import SEGMENT_PERFORMANCE
from driftgauge.shared.statistics.counts import Pooling
from driftgauge.shared.statistics.psi import population_stability
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.consumer.builders import NOON

FEATURES = ("region", "plan", "shop")
SCHEMA = Schema(
    (
        *(Feature(name, "categorical") for name in FEATURES),
        *(Feature(name, "numeric") for name in "xyz"),
    ),
    "categorical",
    classes=("no", "yes"),
    segments=FEATURES,
)
VALUES = [f"v{place:02d}" for place in range(24)]
Rows = tuple[list[Column], list[str], list[str]]


def rows(random: np.random.Generator, number: int, values: int = 24) -> Rows:
    """Draw columns, predictions and labels: every value of a feature is as frequent, and the model
    is right for 85 %.
    """
    groups: list[Column] = [
        np.array(VALUES)[random.integers(0, values, number)].tolist() for _ in FEATURES
    ]
    said = random.random(number) < 0.4
    true = said ^ (random.random(number) < 0.15)
    names = np.array(["no", "yes"])
    numbers: list[Column] = list(random.normal(size=(3, number)))
    return [*groups, *numbers], names[said.astype(int)].tolist(), names[true.astype(int)].tolist()


def version_of(found: Rows) -> JudgedVersion:
    columns, said, labels = found
    profile = build_profile(SCHEMA, columns, said)
    performance = PerformanceReference.of_version(SCHEMA, profile, [*columns, said], labels)
    manifest = new_manifest("plant", "1.0.0", "binary", labels=True)
    return JudgedVersion.of(PublishedVersion(manifest, SCHEMA, profile, performance=performance))


def window_of(version: JudgedVersion, found: Rows, policy: JudgingPolicy) -> SegmentWindow:
    """Count and sum up rows as counting does, and let them be judged."""
    columns, said, labels = found
    reference = version.segments
    assert reference is not None
    assert reference.measures is not None
    assert version.baselines is not None
    cells = version.reference.cells([*columns, said])
    codes = reference.layout.codes(cells)
    sums = reference.measures.of(said, labels, codes, reference.layout.size)
    level = levels(policy, 100_000, len(version.watched), reference.layout.size)
    labelled = LabelledWindow(labelled=len(labels), segments=sums)
    counts = reference.layout.counts(cells)
    return SegmentWindow(
        reference, counts, level, policy, Labelled(labelled, version.baselines, level, policy)
    )


def test_psi_of_every_segment_is_that_of_its_own_counts() -> None:
    """With small bins pooled by the segment's rows, PSI and number of bins are those of each
    segment's column on its own.
    """
    random = np.random.default_rng(1)
    version = version_of(rows(random, 6000))
    window = window_of(version, rows(random, 3000), JudgingPolicy())
    layout, checked = window.reference.layout, 0
    psi, bins = psi_by_segment(
        window.reference.counts, window.window, layout.bin_starts, window.reference.least_rows
    )
    for segment in range(0, layout.size, 5):
        n, m = int(window.reference.rows[segment]), int(window.rows[segment])
        for place, column in enumerate(version.reference.columns):
            part = slice(*layout.bin_starts[place : place + 2].tolist())
            counts = window.reference.counts[segment, part]
            own = msgspec.structs.replace(column, counts=_spread(column.bin_of_cell, counts))
            found = Pooling(own).of(n, m)
            pooled, reference = found.bin_of_cell, found.reference
            first = [
                pooled[np.flatnonzero(np.array(column.bin_of_cell) == bin_)[0]]
                for bin_ in range(len(counts))
            ]
            seen = np.bincount(
                first, weights=window.window[segment, part], minlength=len(reference)
            ).astype(np.int64)
            expected = population_stability(reference, seen, absent=max(1e-4, 0.5 / m))
            assert psi[segment, place] == pytest.approx(expected, rel=1e-9)
            assert bins[segment, place] == len(reference)
            checked += 1
    assert checked > 80


def _spread(bin_of_cell: list[int], counts: np.ndarray) -> list[int]:
    """Return counts of cells that add up to those of bins: all in a bin's first cell."""
    cells = np.zeros(len(bin_of_cell), dtype=np.int64)
    for bin_, count in enumerate(counts.tolist()):
        cells[bin_of_cell.index(bin_)] = count
    return cells.tolist()


@pytest.mark.parametrize("segments", [0, 4, 63])
def test_all_tests_together_keep_one_budget(segments: int) -> None:
    """The model's tests, the segments' and those of past days use what PSI and performance have, no
    more; without segments the model has all.
    """
    policy, columns = JudgingPolicy(), 10
    found = levels(policy, 100_000, columns, segments)
    evaluations = 30 * 100_000 / policy.pane_events
    psi = evaluations * columns * (found.psi + segments * found.segment_psi * bool(segments))
    performance = (
        evaluations * PERFORMANCE_TESTS * (found.performance + segments * found.segment_performance)
    )
    past = PAST_DAYS * PERFORMANCE_TESTS * found.performance_day
    past += (
        PAST_DAYS * PERFORMANCE_TESTS * segments * found.segment_performance_day * bool(segments)
    )
    assert psi == pytest.approx(policy.psi_share)
    assert performance + past == pytest.approx(policy.performance_share)
    labels = evaluations * found.target + PAST_DAYS * found.target_day
    assert labels == pytest.approx(evaluations * found.psi)


@pytest.mark.long
def test_calm_segments_keep_the_budget() -> None:
    """In 240 calm windows of 3 x 21 segments, with a budget that allows .01 alarms of either kind a
    window, there are no more than 14 of both, where up to 4.8 are expected: more have a probability
    below 2e-4. Nearly all segments are judged.
    """
    random = np.random.default_rng(2)
    policy = dataclasses.replace(
        JudgingPolicy(),
        false_alarms_per_month=800.0,
        performance_share=0.3,
        psi_share=0.3,
        min_labelled_rows=1,
    )
    alarms = judged = 0
    for _ in range(12):
        version = version_of(rows(random, 12_000))
        for _ in range(20):
            window = window_of(version, rows(random, 6000), policy)
            alarms += sum(bool(one.reading.severity) for one in window.drift_readings(set()))
            alarms += sum(bool(one.reading.severity) for one in window.performance_readings(set()))
            judged += sum(not window.lacking(segment) for segment in range(63))
    assert judged > 0.9 * 240 * 63
    assert alarms <= 14


def shifted(random: np.random.Generator) -> Rows:
    columns, said, labels = rows(random, 4000, values=8)
    own = np.array(columns[0]) == "v03"
    columns[3] = columns[3] + 1.5 * own
    wrong = own & (random.random(4000) < 0.4)
    return (
        columns,
        said,
        [
            ("no" if label == "yes" else "yes") if wrong[row] else label
            for row, label in enumerate(labels)
        ],
    )


def test_names_of_segments_are_told_apart() -> None:
    """Features and values are untrusted text and may hold a `=`: two segments never share an
    alert.
    """
    schema = Schema(
        (Feature("a", "categorical"), Feature("a=b", "categorical"), Feature("x", "numeric")),
        segments=("a", "a=b"),
    )
    columns: list[Column] = [["b=c", "d"] * 300, ["c", "d"] * 300, np.arange(600.0)]
    profile = build_profile(schema, columns, np.arange(600.0))
    reference = SegmentReference.of(profile, None, [2], [2])
    assert reference is not None
    assert reference.names == ("a=b=c", "a=d", "a=OTHER", "a=b=c (another)", "a=b=d", "a=b=OTHER")


def test_one_segment_is_one_reading_and_names_what_drifts() -> None:
    """A feature and the labels that move in one segment are found there, once each, with its own
    numbers, nowhere else.
    """
    random = np.random.default_rng(3)
    version = version_of(rows(random, 8000, values=8))
    window = window_of(version, shifted(random), JudgingPolicy())
    drifted, fallen = [*window.drift_readings(set())], [*window.performance_readings(set())]
    names = window.reference.names
    assert [(names[one.segment], one.names) for one in drifted] == [("region=v03", ("x",))]
    assert [names[one.segment] for one in fallen] == ["region=v03"]
    place = drifted[0].segment
    assert drifted[0].evidence.n == window.reference.rows[place]
    assert drifted[0].evidence.m == window.rows[place]
    assert drifted[0].reading.severity == "warning"
    assert fallen[0].reading.severity == "critical"
    assert "accuracy" in fallen[0].reading.summary
    told = report(window)
    region = told.features[0]
    assert region.explanation.endswith("all of it in region=v03")
    bad = [one for one in region.segments if one.severity not in {"ok", "insufficient_data"}]
    assert [(one.value, one.severity) for one in bad] == [("v03", "critical")]
    assert bad[0].drift[0].name == "x"
    assert {one.name for one in bad[0].drift}.isdisjoint({"region"})


def test_a_segment_without_rows_ends_its_alert() -> None:
    """A segment that had an alert and gets too few rows reads as quiet; without an alert it reads
    as nothing.
    """
    random = np.random.default_rng(4)
    version = version_of(rows(random, 8000, values=8))
    found = rows(random, 4000, values=8)
    kept = [row for row, value in enumerate(found[0][0]) if value != "v03"]
    part: Rows = (
        [
            [column[row] for row in kept] if isinstance(column, list) else column[kept]
            for column in found[0]
        ],
        [found[1][row] for row in kept],
        [found[2][row] for row in kept],
    )
    window = window_of(version, part, JudgingPolicy())
    said = [*window.drift_readings(set()), *window.performance_readings(set())]
    assert "region=v03" not in {window.reference.names[one.segment] for one in said}
    place = window.reference.names.index("region=v03")
    for readings in (
        window.drift_readings({"region=v03"}),
        window.performance_readings({"region=v03"}),
    ):
        assert [
            (one.reading.severity, one.reading.quiet) for one in readings if one.segment == place
        ] == [(None, True)]


Entries = list[tuple[str, PaneEntry]]


def log_of(
    random: np.random.Generator, version: JudgedVersion, partition: int = 0, panes: int = 20
) -> Entries:
    """Write the panes of a partition with segments, each followed by its labels; one segment goes
    bad halfway.
    """
    found: Entries = []
    for number in range(1, panes + 1):
        columns, said, labels = rows(random, 250, values=4)
        own = (np.array(columns[0]) == "v03") & (number > panes // 2)
        labels = [
            said[row] if not own[row] else {"no": "yes", "yes": "no"}[said[row]]
            for row in range(250)
        ]
        found += pane_of(version, (columns, said, labels), number, partition)
    return found


def pane_of(version: JudgedVersion, found: Rows, number: int, partition: int = 0) -> Entries:
    """Write a pane of rows, followed by its labels."""
    columns, said, labels = found
    count = len(said)
    reference, layout = version.segments, version.baselines.layout if version.baselines else None
    assert reference is not None
    assert reference.measures is not None
    assert layout is not None
    delays = pack_counts(np.bincount([20], minlength=len(DELAY_EDGES_S) + 1))
    cells = version.reference.cells([*columns, said])
    block = Block(
        count,
        pack_counts(np.bincount(cells.ravel(), minlength=int(version.reference.offsets[-1]))),
        b"",
        {},
        segments=pack_counts(reference.layout.counts(cells)),
    )
    end = NOON + number * 10_000 + partition * 3000
    events = count * number
    pane = Pane(partition, number, end - 9000, end, count, events, None, {"1.0.0": block})
    sums = reference.measures.of(said, labels, reference.layout.codes(cells), reference.layout.size)
    revised = Revised(
        number,
        "1.0.0",
        count,
        0,
        delays,
        Sums.of(layout, said, labels, np.full((count, 2), 0.5)).pack(),
        segments=pack_changes(sums),
    )
    delta = Delta(partition, end + 10, events, number, [revised])
    return [(f"{number}-0", pane), (f"{number}-1", delta)]


def judged(
    entries: Entries, version: JudgedVersion, cuts: list[int], partitions: int = 1, **stated: Any
) -> Outputs:
    """Judge a log in steps, through a checkpoint between any two, by a policy with what is
    stated.
    """
    fields: dict[bytes, bytes] = {}
    outputs, policy = Outputs(), JudgingPolicy(partitions=partitions, **stated)
    size = int(version.reference.offsets[-1])
    for first, last in itertools.pairwise([0, *cuts, len(entries)]):
        state = JudgingState.unpack(fields, {"1.0.0": size})
        found = advance(state, entries[first:last], "plant", {"1.0.0": version}, policy)
        outputs.alerts += found.alerts
        outputs.incidents += found.incidents
        outputs.current |= found.current
        fields = {
            name: packed for name, packed in {**fields, **state.pack_changed()}.items() if packed
        }
    return outputs


def test_steps_and_partitions_change_nothing() -> None:
    """The same log gives the same alerts and the same last snapshot, byte by byte, in whatever
    steps it is judged, through checkpoints; with two partitions, in whatever order they are read.
    """
    random = np.random.default_rng(6)
    version = version_of(rows(random, 8000, values=4))
    log = log_of(random, version)
    at_once, in_steps = judged(log, version, []), judged(log, version, [5, 6, 21, 30])
    assert msgspec.json.encode(at_once.alerts) == msgspec.json.encode(in_steps.alerts)
    assert msgspec.json.encode(at_once.current) == msgspec.json.encode(in_steps.current)
    fired = {(one.rule, one.segment) for one in at_once.alerts if one.state == "firing"}
    assert (SEGMENT_PERFORMANCE.name, "region=v03") in fired
    assert {segment for _, segment in fired if segment.startswith("region=")} == {"region=v03"}

    both = [*log, *log_of(np.random.default_rng(7), version, partition=1)]
    by_time = sorted(
        both, key=lambda entry: getattr(entry[1], "end", 0) or getattr(entry[1], "time", 0)
    )
    one, other = (
        judged(both, version, [30], partitions=2),
        judged(by_time, version, [7, 41], partitions=2),
    )
    assert {alert.segment for alert in one.alerts if alert.state == "firing"} >= {"region=v03"}
    assert [(a.rule, a.segment, a.state, a.updated) for a in one.alerts] == [
        (a.rule, a.segment, a.state, a.updated) for a in other.alerts
    ]
    assert one.current["1.0.0"].segments == other.current["1.0.0"].segments


def alert(
    rule: str, segment: str = "", feature: str = "", severity: str = "warning", **more: object
) -> AlertState:
    name = fingerprint("plant", "1.0.0", feature, rule, segment)
    return AlertState(
        name,
        "1.0.0",
        feature,
        rule,
        severity,
        "firing",
        0,
        0,
        "",
        segment=segment,
        **more,  # type: ignore[arg-type]
    )


def test_all_rows_explain_a_segment() -> None:
    """A column's alert explains a segment's drift of that column alone; a fall of the model
    explains the segments' falls; a segment's fall explains its own drift, and no other segment's.
    """
    evaluation: object = None  # no rule of a segment asks for it
    one = alert(SEGMENT_PSI.name, "region=north", columns=("x",))
    two = alert(SEGMENT_PSI.name, "region=north", columns=("x", "y"))
    column, fall = alert("psi", feature="x"), alert("performance.accuracy", severity="critical")
    own, other = (
        alert(SEGMENT_PERFORMANCE.name, f"region={name}", severity="critical")
        for name in ("north", "south")
    )
    broken = alert("missing", feature="x", severity="critical")

    def cause(of: AlertState, *others: AlertState) -> str:
        return cause_of(of, others, evaluation)  # type: ignore[arg-type]

    assert cause(one, column) == column.fingerprint
    assert cause(one, column, broken) == broken.fingerprint
    assert cause(two, column) == ""
    assert cause(own, fall) == fall.fingerprint
    assert cause(own, column, other) == ""
    assert cause(two, own) == own.fingerprint
    assert cause(two, other) == ""


def test_what_to_do_about_a_segment() -> None:
    """A segment's fall asks for what the model's would: a new model if a feature drifts, else a new
    calibration; its drift alone for patience, and broken values that explain it for the feed.
    """
    own = alert(SEGMENT_PERFORMANCE.name, "region=north", severity="critical")
    drift = alert(SEGMENT_PSI.name, "region=north", columns=("x",))
    broken = alert("missing", feature="x", severity="critical")

    def action(of: AlertState, *others: AlertState) -> str:
        return recommend(of, Circumstances(10**9, [of, *others], 0, has_previous=False))

    assert action(own) == "recalibrate"
    assert action(own, drift) == "retrain"
    assert action(drift) == "wait"
    assert (
        action(msgspec.structs.replace(drift, inhibited_by=broken.fingerprint), broken)
        == "fix_feed"
    )
    whole = alert("psi", feature="x")
    assert action(msgspec.structs.replace(drift, inhibited_by=whole.fingerprint), whole) == "wait"


def test_rules_of_segments_in_other_circumstances() -> None:
    """The classic policy has no drift of segments, and their performance; a new reference ends
    their drift alone; alerts without a segment keep their fingerprints.
    """
    classic = dataclasses.replace(JudgingPolicy(), kind="classic")
    assert not is_judged(SEGMENT_PSI.name, "", classic)
    assert is_judged(SEGMENT_PSI.name, "", JudgingPolicy())
    assert is_judged(SEGMENT_PERFORMANCE.name, "", classic)
    assert is_of_reference(SEGMENT_PSI.name, "")
    assert not is_of_reference(SEGMENT_PERFORMANCE.name, "")
    assert fingerprint("steel", "1.0.0", "x", "psi", "") == "71256aeb82dfcc53"
    assert (
        len(
            {
                fingerprint("m", "1", "", SEGMENT_PSI.name, name)
                for name in ("", "region=north", "region=south")
            }
        )
        == 3
    )
