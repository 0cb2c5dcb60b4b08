from pathlib import Path

import pytest

from models.obesity.train import train
from models.training import Trained


@pytest.fixture(scope="session")
def from_file(data: Path) -> Trained:
    return train(data / "obesity.csv")
