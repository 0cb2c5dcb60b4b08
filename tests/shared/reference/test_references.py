"""Accepted references: their history, their files, and what they count."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.reference.references import (
    AcceptedReference,
    ReferenceChange,
    ReferenceHistory,
    check_fits,
    decode_change,
    encode_change,
    recounted,
)
from driftgauge.shared.reference.segments import SegmentLayout
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry
from tests.consumer.builders import published

PUBLISHED = published(rows=600)


def accepted(counts: int = 3) -> AcceptedReference:
    profile = recounted(PUBLISHED.reference, np.full(int(PUBLISHED.reference.offsets[-1]), counts))
    return AcceptedReference("1.0.0", 1, profile, None, 0, 1, {"pane": 3})


@given(st.lists(st.booleans(), max_size=12))
def test_undo_goes_back_as_a_stack_does(steps: list[bool]) -> None:
    """Accept and undo in any order: the one in use is the top of what was accepted and not undone;
    no number comes twice.
    """
    history, stack, given_numbers = ReferenceHistory(), [0], set[int]()
    for accept in steps:
        if accept:
            history = history.accepted("1.0.0", "ann", "why", "")
            assert history.number not in given_numbers
            given_numbers.add(history.number)
            stack.append(history.number)
        elif len(stack) > 1:
            stack.pop()
            history = history.undone("1.0.0", "bob", "why", "")
        else:
            with pytest.raises(BadData, match="nothing to undo"):
                history.undone("1.0.0", "bob", "why", "")
        assert history.number == stack[-1]
    assert [change.change for change in history.changes] == list(range(1, len(history.changes) + 1))


def test_files_stand_beside_the_version_folder_which_never_changes(tmp_path: Path) -> None:
    """What was accepted is read back as it was, with who and why; the version's own files have
    their checksums still.
    """
    registry = ModelRegistry(tmp_path)
    registry.register(PUBLISHED)
    store = ReferenceStore(registry, "plant", "1.0.0")
    assert store.history() == ReferenceHistory()
    store.accept(accepted(3), who="ann", reason="new plant")
    store.accept(accepted(5), who="ann", reason="again")
    history = ReferenceStore(registry, "plant", "1.0.0").undo(who="bob", reason="too early")
    assert [(change.number, change.who, change.undo) for change in history.changes] == [
        (1, "ann", False),
        (2, "ann", False),
        (1, "bob", True),
    ]
    assert store.load(2) == msgspec.structs.replace(accepted(5), number=2)
    assert registry.verify("plant") == []
    assert registry.registered() == ["plant"]
    assert registry.versions("plant") == ["1.0.0"]


def test_damaged_files_say_what_to_do(tmp_path: Path) -> None:
    """A file that was cut or is gone is an error with its name, and an unknown version one too."""
    registry = ModelRegistry(tmp_path)
    registry.register(PUBLISHED)
    store = ReferenceStore(registry, "plant", "1.0.0")
    store.accept(accepted(), who="ann", reason="why")
    folder = tmp_path / "plant" / "references" / "1.0.0"
    (folder / "1.json.gz").write_bytes((folder / "1.json.gz").read_bytes()[:50])
    (folder / "history.json").write_text("{")
    for read in (lambda: store.load(1), lambda: store.load(2), store.history):
        with pytest.raises(BadData, match="Restore it from a backup"):
            read()
    with pytest.raises(ModelNotFound):
        ReferenceStore(registry, "plant", "9.0.0")
    with pytest.raises(BadData):
        ReferenceStore(registry, "plant", "../1.0.0")


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


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"{",
        b"[]",
        b'{"version":"1"}',
        b'{"version":"1","change":0,"number":0,"who":"a","reason":""}',
    ],
)
def test_what_is_no_change_is_said(packed: bytes) -> None:
    """Anybody may write to a log: what cannot be read is a ValueError, as for any other entry."""
    with pytest.raises(ValueError, match="content cannot be read"):
        decode_change(packed)
    change = ReferenceChange("1.0.0", 1, 0, "ann", "why", undo=True)
    assert decode_change(encode_change(change)) == change
