"""The library's page runs as it stands."""

import doctest

import driftgauge
from driftgauge.shared.statistics import STATISTICS
from tests.places import ROOT

PAGE = ROOT / "docs" / "library.md"
NAMES = [*driftgauge.__all__, *STATISTICS]


def test_page_runs() -> None:
    """Every example of docs/library.md gives what the page says."""
    result = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 8
    assert result.failed == 0


def test_every_name_is_on_the_page() -> None:
    """What the library offers is documented, and what is documented is offered."""
    page = PAGE.read_text()
    assert [name for name in NAMES if name not in page] == []


def test_every_name_is_there() -> None:
    """Each name of the library can be imported, and is the thing of that name."""
    missing = [name for name in NAMES if not callable(getattr(driftgauge, name))]
    assert missing == []
