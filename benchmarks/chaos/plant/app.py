"""An application of the chaos run: it logs predictions by the client, with a spool, and notes each
that the client has accepted. It is killed at random, as the APIs are.

    python -m benchmarks.chaos.plant.app URL MODEL SPOOL LEDGER SEED RATE

It ends by SIGTERM, when all that it logged is with an API.
"""

import os
import signal
import sys
import threading

import numpy as np

from benchmarks.chaos.plant.model import draw
from driftgauge.client import Monitor

FLUSH_S = 60.0


def main(url: str, model: str, spool: str, ledger: str, seed: str, rate: str) -> None:
    """Log until it is told to end."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    random = np.random.default_rng(int(seed))
    notes = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with Monitor(url, model, spool=spool, timeout_s=3) as monitor:
        while not stopped.wait(1 / float(rate)):
            for features in draw(random, 1, 0.0):
                made = monitor.log(features, float(random.normal()), latency_ms=1.0)
                os.write(notes, f"{made}\n".encode())  # killed before it, nobody was told
        monitor.flush(FLUSH_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
