"""The rows of the board, and what a reader chooses."""

from typing import Final

from deploy.boards.board import Board, Choice
from deploy.boards.model.drift import DRIFT
from deploy.boards.model.now import NOW
from deploy.boards.model.performance import PERFORMANCE, SEGMENTS
from deploy.boards.model.traffic import TRAFFIC

BOARD: Final = Board(
    name="model",
    title="Driftgauge: model",
    description="One model: what drifts, how right it is, where, and what reaches it.",
    choices=(
        Choice("model", "driftgauge_judging_owner_present", many=False),
        Choice("version", 'driftgauge_events_counted_total{model="$model"}'),
        Choice("feature", 'driftgauge_feature_psi{model="$model", version=~"$version"}'),
        Choice("metric", 'driftgauge_performance{model="$model"}', many=False),
    ),
    rows=(NOW, DRIFT, PERFORMANCE, SEGMENTS, TRAFFIC),
)
