"""Segments in panes and deltas: what pandas groups of the same rows."""

import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings

from driftgauge.consumer.counting.labels.pending import Waiting
from driftgauge.consumer.counting.labels.revisions import Revisions
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import unpack_counts
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.pii import hashed
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.reference.segments import OTHER, SegmentLayout
from tests.consumer.builders import NOON, Counted, count, event, payload_of, reference_of, tick
from tests.consumer.counting import test_advance
from tests.consumer.counting import test_join as test_labels
from tests.consumer.counting.test_advance import seeds

COLORS = Schema(
    (
        Feature("x", "numeric"),
        Feature("color", "categorical", nullable=True),
        Feature("shape", "categorical"),
    ),
    segments=("shape", "color"),
)


def layout_of(versions: dict[str, CellMap], version: str = "1.0.0") -> SegmentLayout:
    layout = versions[version].segments
    assert layout is not None
    return layout


def values_of(layout: SegmentLayout) -> dict[str, tuple[str, ...]]:
    return dict(zip(layout.features, layout.values, strict=True))


def counts(counted: Counted, versions: dict[str, CellMap], version: str = "1.0.0") -> Ints:
    """Sum the segments of closed panes and the open one: shape (segments, bins)."""
    layout = layout_of(versions, version)
    total = np.zeros(layout.size * layout.bins, dtype=np.int64)
    for pane in counted.closed:
        if version in pane.blocks:
            total += unpack_counts(pane.blocks[version].segments)
    pane = counted.state(versions).pane
    if pane is not None and version in pane.blocks:
        found = pane.blocks[version].segments
        total += 0 if found is None else found
    return total.reshape(layout.size, layout.bins)


def crosstab(layout: SegmentLayout, cell_map: CellMap, rows: list[list[Any]]) -> list[list[int]]:
    """Count rows by segment and bin with pandas; `rows` are features, then the prediction."""
    frame = pd.DataFrame(
        rows, columns=[column.name for column in cell_map.reference.columns], dtype=object
    )
    parts = []
    for feature, values in values_of(layout).items():
        segments = pd.Categorical(
            frame[feature].where(frame[feature].isin(values), OTHER), [*values, OTHER]
        )
        found = []
        for column in cell_map.reference.columns:
            bins = np.array(column.bin_of_cell)[column.cells(frame[column.name].tolist())]
            every = pd.Categorical(bins, range(max(column.bin_of_cell) + 1))
            found.append(pd.crosstab(segments, every, dropna=False).to_numpy())
        parts.append(np.hstack(found))
    return np.vstack(parts).tolist()  # type: ignore[no-any-return]  # of whole numbers


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_panes_hold_the_crosstab_of_segment_and_bin(seed: int) -> None:
    """Closed panes and the open one add up to what pandas counts of the rows that count for drift;
    a version beside it without segments has none.
    """
    versions = test_advance.VERSIONS
    log = test_advance.random_log(seed)
    counted = count(log.entries, versions, test_advance.POLICY, range(0, len(log.entries), 60))
    payloads: list[Any] = [payload_of(entry) for entry in log.fresh]
    mine = [
        one
        for one in payloads
        if one["version"] == "1.0.0" and one.get("source", "online") == "online"
    ]
    rows = [[*one["features"], one["prediction"]] for one in mine]
    assert counts(counted, versions).tolist() == crosstab(
        layout_of(versions), versions["1.0.0"], rows
    )
    assert {pane.blocks["2.0.0"].segments for pane in counted.closed if "2.0.0" in pane.blocks} <= {
        b""
    }


def test_several_segment_features_and_batches() -> None:
    """Every row is in one segment of each feature; a missing or a new value is in OTHER; what does
    not count for drift is in none.
    """
    random = np.random.default_rng(1)

    def drawn(rows: int) -> list[list[Any]]:
        colors = np.array(["red", "blue", "OTHER", None], dtype=object)[
            random.integers(0, 4, rows)
        ].tolist()
        shapes = random.choice(["round", "flat", "long"], rows, p=[0.6, 0.3, 0.1]).tolist()
        return [
            list(row) for row in zip(random.normal(size=rows).tolist(), colors, shapes, strict=True)
        ]

    cell_map = CellMap(COLORS, reference_of(drawn(400), COLORS, random.normal(size=400).tolist()))
    rows = [*drawn(300), [0.5, "new", "round"]]
    log = [event(NOON + 10 * place, place + 1, row) for place, row in enumerate(rows)]
    log += [event(NOON + 9000, 900, [0.5, "red", "flat"], source="shadow"), tick(NOON + 700_000)]
    found = counts(
        count(log, {"1.0.0": cell_map}, CountingPolicy(pane_events=40)), {"1.0.0": cell_map}
    )
    layout = layout_of({"1.0.0": cell_map})
    assert values_of(layout)["shape"] == ("round", "flat", "long")
    assert set(values_of(layout)["color"]) == {"red", "blue"}
    assert found.tolist() == crosstab(layout, cell_map, [[*row, 0.5] for row in rows])
    assert found.sum() == 2 * 4 * len(rows)


def test_a_hashed_feature_parts_rows_by_its_hashes() -> None:
    """Reference and events hold hashes of a personal feature, and no trace of a dropped one before
    it: the same customers are the same segments.
    """
    key, random = "0123456789abcdef", np.random.default_rng(2)
    schema = Schema(
        (
            Feature("email", "categorical"),
            Feature("customer", "categorical", pii="hash"),
            Feature("x", "numeric"),
        ),
        segments=("customer",),
    )
    customers = random.choice([f"c{number}" for number in range(30)], 900)
    frame = pd.DataFrame({"customer": customers, "x": random.normal(size=900)})
    frame["email"] = frame["customer"] + "@example.org"
    profile = build_profile(schema, columns_of(frame, schema, key), random.normal(size=900))
    clean, later = schema.cleaner(key), frame[:200]
    rows = [clean([row.email, row.customer, row.x]) for row in later.itertuples()]
    versions = {"1.0.0": CellMap(schema, profile)}
    log = [event(NOON + 10 * place, place + 1, row) for place, row in enumerate(rows)]
    layout, found = layout_of(versions), counts(count(log, versions, CountingPolicy()), versions)
    grouped = later.groupby(later["customer"].map(lambda name: hashed(name, key))).size()
    hashes = values_of(layout)["customer"]
    assert (len(hashes), "c1" in hashes) == (20, False)
    expected = [
        *(int(grouped.get(name, 0)) for name in hashes),
        int(grouped[~grouped.index.isin(hashes)].sum()),
    ]
    assert found.sum(axis=1).tolist() == [
        3 * rows for rows in expected
    ]  # each row is in one bin of three columns


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_deltas_add_up_to_the_joined_rows_of_each_segment(seed: int) -> None:
    """First labels, corrections and early labels: rows and absolute errors of each segment are
    those of the rows with the labels that they have last, as pandas groups them. A version without
    segments has none.
    """
    versions = test_labels.VERSIONS
    log = test_labels.random_log(seed)
    store = test_labels.counted(log, range(0, len(log), 50))
    oracle = test_labels.Oracle(1, 1_000_000).run(log)
    layout, measures = layout_of(versions), versions["1.0.0"].measures
    assert measures is not None
    revised = [one for delta in store.deltas for one in delta.revised]
    assert {one.segments for one in revised if one.version == "2.0.0"} <= {b""}
    total = sum(
        (unpack_counts(one.segments) for one in revised if one.version == "1.0.0"),
        np.zeros(1, dtype=np.int64),
    )
    found = np.broadcast_to(total, layout.size * measures.size).reshape(layout.size, measures.size)
    frame = pd.DataFrame(
        [
            (one.content["features"][-1], abs(one.content["prediction"] - one.label))
            for one in oracle.known
            if one.label is not None and one.content["version"] == "1.0.0"
        ],
        columns=["city", "error"],
    )
    cities = values_of(layout)["city"]
    known = frame["city"].where(frame["city"].isin(cities), OTHER)
    grouped = frame.groupby(pd.Categorical(known, [*cities, OTHER]), observed=False)["error"]
    assert found[:, 0].tolist() == grouped.size().tolist()
    step = measures.unit / 2**16
    assert np.abs(found[:, 1] * step - grouped.sum().to_numpy()).max() <= step / 2 * max(
        1, found[:, 0].max()
    )


def test_late_labels_of_many_panes_take_the_memory_of_few() -> None:
    """A delta of labels that come one to a pane is what the panes' deltas are one by one, and holds
    the sums of a part of them at a time: 20 classes in 63 segments of 2,000 panes would be 65 MB.
    """
    random, names = np.random.default_rng(3), ("a", "b", "c")
    classes = tuple(f"c{place:02d}" for place in range(20))
    schema = Schema(
        tuple(Feature(name, "categorical") for name in names),
        "categorical",
        classes=classes,
        segments=names,
    )
    columns: list[Column] = [[f"v{place}" for place in random.integers(0, 30, 2000)] for _ in names]
    said, labels = (np.array(classes)[random.integers(0, 20, 2000)].tolist() for _ in range(2))
    profile = build_profile(schema, columns, said)
    versions = {"1.0.0": CellMap(schema, profile, labels=True)}
    packed = layout_of(versions).packed(profile.cells([*columns, said]))

    def joined() -> Revisions:
        revisions = Revisions()
        for row, label in enumerate(labels):
            waiting = Waiting(row + 1, "1.0.0", 0, said[row], segments=packed[row])
            revisions.join(row.to_bytes(8), waiting, label, 5000, 60_000)
        return revisions

    at_once, by_pane = joined(), joined()
    tracemalloc.start()
    found = at_once.take(2000, 99_000, versions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [one for pane in range(1, 2001) for one in by_pane.take(pane, 99_000, versions)]
    assert (at_once.size, at_once.rows) == (0, {})
    assert peak < 30e6
