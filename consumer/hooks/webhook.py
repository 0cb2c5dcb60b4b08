"""A hook that is a webhook: a POST of the incident as CloudEvents JSON. The address is a secret and
never logged.
"""

import threading
from typing import Final

import httpx

from driftgauge.consumer.judging.incidents.hooks import Run, RunResult

TIMEOUT_S: Final = 30.0
PAUSES_S: Final = (1.0, 4.0)
"""Pauses (s) between attempts, which are one more than the pauses."""
AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP status codes after which another attempt is made."""


def post(address: str, run: Run, timeout_s: float, cancelled: threading.Event) -> RunResult:
    """Post the incident until the receiver accepts it; redirections are not followed.

    Parameters
    ----------
    run
        The run: its id is the header `Idempotency-Key`, so that a receiver recognises a repeated
        post after a lost answer.
    """
    headers = {"Content-Type": "application/cloudevents+json", "Idempotency-Key": run.id}
    outcome = RunResult(ok=False, detail="cancelled")
    with httpx.Client(timeout=min(TIMEOUT_S, timeout_s), headers=headers) as client:
        for pause_s in (0.0, *PAUSES_S):
            if cancelled.wait(pause_s):
                return RunResult(ok=False, detail="cancelled")
            outcome, final = _try(client, address, run)
            if final:
                break
    return outcome


def _try(client: httpx.Client, address: str, run: Run) -> tuple[RunResult, bool]:
    """Post once; return the result, and whether it is final."""
    try:
        with client.stream(
            "POST", address, content=run.event.encode()
        ) as answer:  # its body is not read
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:  # the message may quote the address
        return RunResult(ok=False, detail=f"no answer ({type(error).__name__})"), False
    return RunResult(ok=answer.is_success, detail=f"status {status}"), status not in AGAIN
