"""A worker of given settings as a process of its own, in which a warning is an error."""

import logging
import sys
import warnings

import msgspec

from driftgauge.consumer.worker import Worker
from driftgauge.shared.settings import Settings

if __name__ == "__main__":
    warnings.simplefilter("error")
    logging.basicConfig(level="INFO", stream=sys.stderr)
    worker = Worker(Settings(**msgspec.json.decode(sys.argv[1])))
    worker.stop_on_signals()
    worker.run()
