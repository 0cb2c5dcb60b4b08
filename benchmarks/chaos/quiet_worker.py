"""A worker that adds no ticks to the log: what it counts is a function of the log as it stands."""

import math

from consumer import counting_stage
from consumer.commands.worker import worker

if __name__ == "__main__":
    counting_stage.IDLE_TICK_S = counting_stage.FULL_PANE_TICK_S = math.inf
    worker()
