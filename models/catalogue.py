"""The demo models by name."""

from typing import Final

from driftgauge.models.common.training import DemoModel
from driftgauge.models.credit.train import MODEL as CREDIT
from driftgauge.models.obesity.train import MODEL as OBESITY
from driftgauge.models.steel.train import MODEL as STEEL

MODELS: Final[dict[str, DemoModel]] = {model.name: model for model in (STEEL, OBESITY, CREDIT)}
