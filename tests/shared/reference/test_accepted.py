"""Accepted references: what they count, and whether they fit the registered one."""

import msgspec
import numpy as np
import pytest

from driftgauge.shared.reference.accepted import AcceptedReference, check_fits, recounted
from driftgauge.shared.reference.profile import CategoricalReference, ReferenceProfile
from driftgauge.shared.reference.segments import SegmentLayout
from tests.consumer.builders import published

PUBLISHED = published(rows=600)


def accepted(counts: int = 3) -> AcceptedReference:
    profile = recounted(PUBLISHED.reference, np.full(int(PUBLISHED.reference.offsets[-1]), counts))
    return AcceptedReference("1.0.0", 1, profile, None, 0, 1, {"pane": 3})


def test_other_cells_are_refused() -> None:
    """Panes are valid for a reference only if it has the cells of the registered one."""
    check_fits(accepted(), PUBLISHED.reference)
    with pytest.raises(ValueError, match="reference 1 has other cells"):
        check_fits(accepted(), published(seed=4, rows=600).reference)


def test_other_segments_are_refused() -> None:
    """Counts by segment add up only if the segments are those that the version was registered
    with.
    """
    registered = published(rows=600, segments=("city",)).reference
    layout = SegmentLayout.of(registered)
    assert layout is not None
    counts = np.arange(layout.size * layout.bins)
    kept = recounted(registered, np.full(int(registered.offsets[-1]), 3), counts)
    check_fits(AcceptedReference("1.0.0", 1, kept, None, 0, 1), registered)
    (held,) = kept.segments
    assert (held.feature, held.values) == (
        registered.segments[0].feature,
        registered.segments[0].values,
    )
    assert [count for row in held.counts for count in row] == counts.tolist()
    for other in ((), (msgspec.structs.replace(held, values=("rome", *held.values[1:])),)):
        changed = AcceptedReference(
            "1.0.0", 1, msgspec.structs.replace(kept, segments=other), None, 0, 1
        )
        with pytest.raises(ValueError, match="reference 1 has other segments"):
            check_fits(changed, registered)


def test_unseen_values_are_no_news_in_an_accepted_reference() -> None:
    """A category that came with the new plant counts for the estimate of new ones; rows and kinds
    stay.
    """
    profile = accepted(1).profile
    city = next(column for column in profile.columns if column.name == "city")
    assert city.singletons == len(city.categories) + 1 + 1  # type: ignore[union-attr]
    assert profile.rows == max(len(column.counts) for column in profile.columns)


def test_buckets_are_as_fine_in_an_accepted_reference() -> None:
    """Ten times the rows have a hundred times the pairs of one category: as many categories share a
    bucket, so that a change among rare ones is judged alike.
    """
    random = np.random.default_rng(9)
    names = [f"c{place}" for place in random.integers(0, 3000, 20_000).tolist()]
    before = ReferenceProfile(20_000, (CategoricalReference.build("c", names),))
    after = recounted(before, 10 * np.array(before.columns[0].counts))
    column, more = before.columns[0], after.columns[0]
    assert isinstance(column, CategoricalReference)
    assert isinstance(more, CategoricalReference)
    assert more.pairs == [100 * pairs for pairs in column.pairs]
    assert more.buckets == column.buckets
