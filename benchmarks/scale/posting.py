"""Posting many events to the API of a fleet, and waiting until they are counted."""

import time
from collections.abc import Sequence
from typing import Final

import httpx
import msgspec
import numpy as np

from benchmarks.scale.fleet import START_S, Fleet

BODIES: Final = 10
"""Different bodies, which are sent in turn."""
HEADERS: Final = {"Content-Type": "application/json"}
AHEAD: Final = 100_000
"""Events that may wait in the log to be counted."""
LOOK_S: Final = 0.1


def lists_of(names: Sequence[str], size: int) -> list[bytes]:
    """Make lists of events as they are posted, each of so many."""
    random = np.random.default_rng(0)
    return [
        msgspec.json.encode(
            [
                {"features": dict(zip(names, row, strict=True)), "prediction": row[0]}
                for row in random.normal(size=(size, len(names))).round(4).tolist()
            ]
        )
        for _ in range(BODIES)
    ]


def post(found: Fleet, lists: Sequence[bytes], lists_to_post: int, size: int) -> int:
    """Post lists of events of the first model, and wait until all are counted; return their
    number.
    """
    model = found.models[0]
    before, done = found.counted(model), 0
    with httpx.Client(base_url=found.url, trust_env=False, timeout=60) as http:
        for number in range(lists_to_post):
            answer = http.post("/events", content=lists[number % len(lists)], headers=HEADERS)
            assert answer.is_success, answer.text
            done += size
            if done % AHEAD < size:
                _wait(found, model, before + done - AHEAD)
    _wait(found, model, before + done)
    return done


def _wait(found: Fleet, model: str, wanted: int) -> None:
    begun = time.monotonic()
    while found.counted(model) < wanted:
        assert time.monotonic() - begun < START_S, "events were not counted"
        time.sleep(LOOK_S)
