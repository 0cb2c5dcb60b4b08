"""A worker that adds no ticks to the log: what it counts is a function of the log as it stands."""

import math

from driftgauge.consumer.commands.worker import worker
from driftgauge.consumer.stages import counting as counting_stage

if __name__ == "__main__":
    for time_s in ("IDLE_TICK_S", "FULL_PANE_TICK_S"):
        setattr(counting_stage, time_s, math.inf)
    worker()
