from pathlib import Path

import pytest

from driftgauge.models.common.training import Trained
from driftgauge.models.obesity.train import train


@pytest.fixture(scope="session")
def from_file(data: Path) -> Trained:
    return train(data / "obesity.csv")
