import sys
from io import BytesIO
from pathlib import Path

import msgspec
import pytest

from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.reporting.files import write_picture
from driftgauge.shared.reporting.png import MOST_FEATURES, write_png
from tests.shared.reporting.test_html import EVIL, hostile

MAGIC = b"\x89PNG\r\n\x1a\n"


def drawn(snapshot: Snapshot) -> bytes:
    file = BytesIO()
    write_png(snapshot, file)
    return file.getvalue()


@pytest.mark.long
def test_a_picture_is_the_same_again(snapshot: Snapshot) -> None:
    """The same snapshot gives the same bytes, of a PNG; another one gives others."""
    picture = drawn(snapshot)
    assert picture.startswith(MAGIC)
    assert drawn(snapshot) == picture != drawn(msgspec.structs.replace(snapshot, verdict="Other."))


@pytest.mark.parametrize("text", [EVIL, "$\\frac{1}{", "日本語" * 5000, "\ud800\x00", ""])
def test_hostile_text_is_drawn_as_it_is(snapshot: Snapshot, text: str) -> None:
    """No text is taken for a formula, and none that the font lacks makes a warning."""
    assert drawn(hostile(text, snapshot)).startswith(MAGIC)


def test_a_picture_in_a_file(snapshot: Snapshot, tmp_path: Path) -> None:
    """A picture is written whole, into a folder that need not exist yet."""
    assert write_picture(snapshot, tmp_path / "new" / "one.png").read_bytes().startswith(MAGIC)


def test_pictures_are_bounded(snapshot: Snapshot) -> None:
    """Any number of features, or none, gives a picture of bounded height."""
    many = msgspec.structs.replace(snapshot, features=snapshot.features * 50)
    none = msgspec.structs.replace(snapshot, features=[], prediction=None)
    heights = [int.from_bytes(drawn(one)[20:24], "big") for one in (many, none)]
    assert heights[1] < heights[0] < 100 * (MOST_FEATURES * 0.24 + 8)


def test_without_matplotlib(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigurationError, match=r"driftgauge\[plot\]"):
        drawn(snapshot)
