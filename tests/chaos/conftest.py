"""A folder for the processes of a chaos run."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """One with a short path, for the socket of Redis."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as made:
        yield Path(made)
