"""The three demo models, each trained once on few simulated rows for the whole run."""

import pytest

from driftgauge.models.common.training import Trained
from driftgauge.models.credit.train import train as train_credit
from driftgauge.models.obesity.train import train as train_obesity
from driftgauge.models.steel.train import train as train_steel

SMALL = {"steel": 8000, "obesity": 3000, "credit": 6000}
"""Rows to simulate."""


@pytest.fixture(scope="session")
def steel() -> Trained:
    return train_steel(None, seed=0, rows=SMALL["steel"])


@pytest.fixture(scope="session")
def obesity() -> Trained:
    return train_obesity(None, seed=0, rows=SMALL["obesity"])


@pytest.fixture(scope="session")
def credit() -> Trained:
    return train_credit(None, seed=0, rows=SMALL["credit"], trials=0)


@pytest.fixture(scope="session")
def all_trained(steel: Trained, obesity: Trained, credit: Trained) -> dict[str, Trained]:
    return {"steel": steel, "obesity": obesity, "credit": credit}
