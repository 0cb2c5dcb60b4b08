"""How processes log: one line an event on standard error, without feature values and secrets."""

import logging
import sys
import time


def configure_logging(level: int = logging.INFO) -> None:
    """Log our own loggers' lines, with UTC time, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.getLogger("driftgauge")
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False
