"""A hook that is a webhook: a POST of the incident as CloudEvents JSON, within the bounds of the
requests of routes (consumer/notifying/post.py). The address is a secret and never logged.
"""

import threading
from typing import Final

from driftgauge.consumer.judging.incidents.hooks import Run, RunResult
from driftgauge.consumer.notifying import post as requests
from driftgauge.consumer.notifying.targets.base import Later, Refused

PAUSES_S: Final = (1.0, 4.0)
"""Pauses (s) between attempts, which are one more than the pauses."""


def post(address: str, run: Run, timeout_s: float, cancelled: threading.Event) -> RunResult:
    """Post the incident until the receiver accepts it, or refuses it for good.

    Parameters
    ----------
    run
        The run: its id is the header `Idempotency-Key`, so that a receiver recognises a repeated
        post after a lost answer.
    timeout_s
        Longest time (s) of an attempt, if it is below that of a request.
    """
    headers = {"Content-Type": "application/cloudevents+json", "Idempotency-Key": run.id}
    within_s = min(requests.WITHIN_S, timeout_s)
    reason = ""
    for pause_s in (0.0, *PAUSES_S):
        if cancelled.wait(pause_s):
            return RunResult(ok=False, detail="cancelled")
        try:
            answer = requests.post(address, run.event.encode(), headers, within_s=within_s)
        except Refused as error:
            return RunResult(ok=False, detail=error.reason)
        except Later as error:
            reason = error.reason
            continue
        return RunResult(ok=True, detail=f"status {answer.status}")
    return RunResult(ok=False, detail=reason)
