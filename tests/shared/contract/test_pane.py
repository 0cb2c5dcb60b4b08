"""Panes as they stand in Redis."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.contract.pane import (
    Alarm,
    Block,
    Pane,
    Watermark,
    decode,
    encode,
    pack_counts,
    unpack_counts,
)


@given(st.lists(st.one_of(st.integers(0, 300), st.integers(0, 2**63 - 1)), max_size=300))
def test_counts_survive_packing(counts: list[int]) -> None:
    """Counts of any size and number come back exactly, and can be added to."""
    found = unpack_counts(pack_counts(np.array(counts, dtype=np.int64)))
    assert (found.tolist(), found.dtype) == (counts, np.int64)
    found += 1


def test_a_sparse_pane_is_small() -> None:
    """The counts of 250 events over 18 features of 500 cells take less than 6 kB."""
    cells = np.bincount(np.random.default_rng(0).integers(0, 9000, 4500), minlength=9000)
    assert len(pack_counts(cells)) < 6000


def test_every_entry_comes_back_as_its_kind() -> None:
    """A pane, an alarm and a watermark are told apart when they are read."""
    block = Block(1, pack_counts(np.array([1])), pack_counts(np.array([0])), {"online": 1})
    for entry in (
        Pane(0, 1, 2, 3, 4, 5, None, {"1.0.0": block}),
        Alarm(0, 1, 2, "1.0.0", "x", "adwin", 3, "mean_rank", 0.5, 0.5, 6, "effect"),
        Watermark(0, 1, 2),
    ):
        assert decode(encode(entry)) == entry
