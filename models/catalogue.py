"""The demo models by name."""

from typing import Final

from models.credit.train import MODEL as CREDIT
from models.obesity.train import MODEL as OBESITY
from models.steel.train import MODEL as STEEL
from models.training import DemoModel

MODELS: Final[dict[str, DemoModel]] = {model.name: model for model in (STEEL, OBESITY, CREDIT)}
