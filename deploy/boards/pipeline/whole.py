"""The rows of the board, and what a reader chooses."""

from typing import Final

from deploy.boards.board import Board, Choice
from deploy.boards.pipeline.counting import COUNTING, LOSSES
from deploy.boards.pipeline.notifying import NOTIFYING
from deploy.boards.pipeline.processes import API, WORKERS
from deploy.boards.pipeline.sight import SIGHT

BOARD: Final = Board(
    name="pipeline",
    title="Driftgauge: pipeline",
    description="The monitor itself: whether it sees, what is lost, what API and workers do.",
    choices=(Choice("model", "driftgauge_judging_owner_present"),),
    rows=(SIGHT, COUNTING, LOSSES, NOTIFYING, API, WORKERS),
    span="now-3h",
)
