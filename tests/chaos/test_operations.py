"""The page for operators names every fault, with the words that are said of it."""

import re

import pytest

from benchmarks.chaos.faults import FAULTS, Fault
from tests.places import ROOT

ROWS = (ROOT / "docs" / "operations.md").read_text().splitlines()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_has_its_row(fault: Fault) -> None:
    """Somebody who meets it finds the row by the words that they read, and what to do."""
    rows = [row for row in ROWS if f"`{fault.name}`" in row and row.startswith("|")]
    assert len(rows) == 1
    _, lost, said, action = rows[0].strip("|").split("|")
    assert re.search(fault.told or ".", said)
    assert fault.told or not fault.loses
    assert all(cell.strip() for cell in (lost, action))
