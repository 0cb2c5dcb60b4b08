"""Faults of workers, APIs and connections."""

import os
import signal
from contextlib import suppress

from benchmarks.chaos.faults.fault import Course, fault
from benchmarks.chaos.faults.scene import Scene
from driftgauge.shared.connections.redis_client import UNAVAILABLE


@fault("a worker gets kill -9", weight=3)
def kill_worker(scene: Scene) -> Course:
    """Kill a worker, and start it again as its supervisor would."""
    worker = scene.one_of(scene.plant.workers)
    worker.kill()
    worker.start()
    yield 0


@fault(
    "the process of a worker that judges gets kill -9",
    needs=lambda scene: bool(scene.judging()),
    logged="The process that judges ended by itself",
    weight=2,
)
def kill_judging(scene: Scene) -> Course:
    """Kill the process that judges for a worker, which starts it again."""
    judging = scene.judging()
    with suppress(ProcessLookupError):
        os.kill(judging[int(scene.random.integers(len(judging)))], signal.SIGKILL)
    yield 0


@fault("an application that logs by the client gets kill -9", weight=3)
def kill_app(scene: Scene) -> Course:
    """Kill an application, and start it again; whoever finds its spool sends it."""
    app = scene.one_of(scene.plant.apps)
    app.kill()
    app.start()
    yield 0


@fault("a worker sleeps past its lease (SIGSTOP)", weight=2)
def stop_worker(scene: Scene) -> Course:
    """Stop a worker until another one has its lease; it wakes in the middle of what it did."""
    lease_s = scene.plant.settings.lease_ms / 1000
    stopped = scene.one_of(scene.plant.workers).signal(signal.SIGSTOP)
    yield scene.between(1.2 * lease_s, 2 * lease_s)
    if stopped is not None and stopped.poll() is None:
        stopped.send_signal(signal.SIGCONT)


@fault("an API gets kill -9", needs=Scene.api_may_die, weight=3)
def kill_api(scene: Scene) -> Course:
    """Kill an API, and start it again; the other one sends what it had spooled."""
    scene.replace_api()
    yield 0


@fault("every connection to Redis is cut (CLIENT KILL)", needs=Scene.redis_answers, weight=3)
def kill_clients(scene: Scene) -> Course:
    """Close all connections but our own."""
    for client in scene.plant.store.servers():
        with client, suppress(*UNAVAILABLE):
            client.client_kill_filter(_type="normal", skipme=True)
    yield 0
