"""Faults that meet the API itself: its disk, its models, its clients."""

import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx

from benchmarks.chaos.faults.fault import Course, On, fault
from benchmarks.chaos.faults.scene import Scene
from benchmarks.chaos.stores.server import bound_files

HALF_SENT = 300
"""Requests to each API that are begun and not ended: more than it may open files."""
STRANGER = "127.0.0.2"
"""Address that they come from."""
STARTING_S, PATIENCE_S = 0.5, 5.0
"""How long (s) an answer is waited for before, and beside them."""


@fault(
    "the disk of the spools is full while Redis is away",
    needs=Scene.redis_may_end,
    of_redis=True,
    on={On.ALONE},
    told="spool cannot be written",
    logged="The spool in .* cannot be written",
)
def full_spool_disk(scene: Scene) -> Course:
    """Bound the files of the APIs, and end Redis: what comes now waits in memory, and its clients
    are told so.
    """
    scene.forgets()
    living = [api.pid for api in scene.plant.apis]
    for pid in living:
        bound_files(pid, 0)
    scene.alone.server.stop()
    yield scene.between(2, 4)
    for pid in living:
        bound_files(pid, None)
    scene.alone.start_redis()
    scene.came_back()


@fault(
    "a model hangs",
    needs=lambda scene: scene.plant.predicts and not scene.plant.gate.exists(),
    told="has not returned",
    logged="has not returned",
)
def hanging_model(scene: Scene) -> Course:
    """Let a model not return from its calls."""
    scene.plant.gate.touch()
    yield scene.between(4, 6)
    scene.plant.gate.unlink()


@fault("hundreds of requests are begun and never ended (slow-loris)")
def slow_loris(scene: Scene) -> Course:
    """Open more connections than an API may have, send half a header on each, and see whether it
    still answers others.
    """
    with ExitStack() as stack:
        for url, api in zip(scene.plant.urls, scene.plant.apis, strict=True):
            if not _answers(url, STARTING_S):
                continue  # it was killed a moment ago
            _begin_requests(stack, url)
            if not _answers(url, PATIENCE_S):
                scene.broken.append(f"{api.name} answers nobody beside {HALF_SENT} half requests")
        yield scene.between(2, 4)


def _begin_requests(stack: ExitStack, url: str) -> None:
    parts = urlsplit(url)
    for _ in range(HALF_SENT):
        try:
            one = socket.create_connection(
                (parts.hostname, parts.port), 1, source_address=(STRANGER, 0)
            )
        except OSError:  # it is starting, or takes no more of them
            return
        stack.enter_context(one)
        try:
            one.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        except OSError:  # it was closed
            continue


def _answers(url: str, patience_s: float) -> bool:
    """Ask over a new connection until there is an answer, for a while."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/livez", timeout=1, trust_env=False, verify=False)  # noqa: S501  plain HTTP
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return True
    return False
