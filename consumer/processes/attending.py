"""The side of the process that judges: it says how it stands when it is asked, and ends with the
process that started it, whatever became of that.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from driftgauge.consumer.metrics.told import Told

HEAD_BYTES: Final = 5
"""Bytes before an answer: the one of the question, and the answer's length."""
PATIENCE_S: Final = 5.0
"""Time (s) that is given to the stages to commit when the other process is gone. A new worker waits
for what this one holds; what is not committed then is judged again.
"""

log = logging.getLogger("driftgauge.worker")


def attend(line: socket.socket, told: Callable[[], Told], stop: threading.Event) -> None:
    """Answer from a thread until the other side is gone; then set `stop`, and see to it that this
    process ends.

    Parameters
    ----------
    line
        Connected to the process that counts; a question is a byte, and its answer begins with it.
    told
        Returns how this process stands.
    """

    def serve() -> None:
        with suppress(OSError):
            while asked := line.recv(1):
                packed = msgspec.msgpack.encode(told())
                line.sendall(asked + len(packed).to_bytes(HEAD_BYTES - 1, "big") + packed)
        if stop.is_set():  # both were told to
            return
        log.warning("The process that counts is gone, and so this one ends")
        stop.set()
        time.sleep(PATIENCE_S)
        os._exit(os.EX_UNAVAILABLE)

    threading.Thread(target=serve, name="attending", daemon=True).start()
