"""What the steel tests share: the real file where it is present, and the simulator-trained
model.
"""

from pathlib import Path

import pandas as pd
import pytest

from driftgauge.models.common.training import Trained
from driftgauge.models.steel.features import read_raw
from tests.places import DATA

REAL = DATA / "steel.csv"


@pytest.fixture(scope="session")
def real_path() -> Path:
    if not REAL.is_file():
        pytest.skip(f"needs the UCI steel file at {REAL}, which is not part of the project")
    return REAL


@pytest.fixture(scope="session")
def real(real_path: Path) -> pd.DataFrame:
    return read_raw(real_path)


@pytest.fixture(scope="session")
def trained(steel: Trained) -> Trained:
    return steel
