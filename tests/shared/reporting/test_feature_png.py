"""The picture of one column, for a message."""

from io import BytesIO

import msgspec
import pytest

from driftgauge.shared.contract.snapshot import Histogram, Snapshot
from driftgauge.shared.reporting.feature_png import MOST_BINS, feature_of, write_feature_png
from tests.shared.reporting.test_html import EVIL, hostile


def size(snapshot: Snapshot, name: str) -> tuple[int, int]:
    """Draw a column; return how wide and how high it is."""
    feature, file = feature_of(snapshot, [name]), BytesIO()
    assert feature is not None
    write_feature_png(snapshot, feature, file)
    drawn = file.getvalue()
    return int.from_bytes(drawn[16:20], "big"), int.from_bytes(drawn[20:24], "big")


@pytest.mark.parametrize("text", [EVIL, "$\\frac{1}{"])
def test_hostile_names_are_drawn_as_they_are(snapshot: Snapshot, text: str) -> None:
    """No name is taken for a formula, and every picture has the same size."""
    found = hostile(text, snapshot)
    assert size(found, found.features[-1].name) == (1104, 528)


def test_the_first_column_that_can_be_drawn_is_found(snapshot: Snapshot) -> None:
    """Unknown ones, those without a reference and those with too many bins are passed over; the
    prediction is a column too.
    """
    many = Histogram(None, ["a"] * (MOST_BINS + 1), [0.0] * (MOST_BINS + 1), [])
    torn = Histogram([0.0, 1.0], None, [1.0], [0.5, 0.5])
    (first, second, *others) = snapshot.features
    replace = msgspec.structs.replace
    odd = [replace(first, histogram=many), replace(second, histogram=torn), *others]
    found = msgspec.structs.replace(snapshot, features=odd)
    names = ["unknown", first.name, second.name, "lagging_current_power_factor", "temperature"]
    chosen = feature_of(found, names)
    assert chosen is not None
    assert chosen.name == "temperature"
    prediction = feature_of(found, ["energy_kwh"])
    assert prediction is snapshot.prediction
    assert feature_of(found, names[:-1]) is None
