"""`driftgauge worker`."""

import gc
import os
import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.settings import Settings

if TYPE_CHECKING:
    from driftgauge.consumer.metrics.standing import Stands
    from driftgauge.consumer.processes.judging import JudgingProcess
    from driftgauge.consumer.worker import Worker
    from driftgauge.shared.otel.sdk import Tracing

COLLECTED: Final = 100_000, 20, 100
"""Thresholds of the garbage collector. Events are acyclic: at the default, collecting costs a third
of the decoding, and of archiving.
"""


@click.command()
@click.option(
    "--host",
    help="Address that metrics and health are told on.  [default: DRIFTGAUGE_WORKER_HOST, "
    "127.0.0.1]",
)
@click.option(
    "--port",
    type=int,
    help="Port that they are told on; 0 tells nothing.  [default: DRIFTGAUGE_WORKER_PORT, 0]",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 2),
    help="2 judge and report in a process of their own, beside the one that counts.  [default: "
    "DRIFTGAUGE_WORKER_PROCESSES, or 2 where there is more than one core]",
)
@click.option(
    "--insecure", is_flag=True, help="Allow an address that other machines can reach without keys."
)
@click.option("--beside", hidden=True, help="Judge for the process at the other end: FD:WORKER.")
def worker(
    host: str | None, port: int | None, processes: int | None, *, insecure: bool, beside: str | None
) -> None:
    """Count and judge: the log in, alerts and reports out. Start any number of them."""
    from driftgauge.consumer.metrics.opening import open_port
    from driftgauge.shared.otel.beginning import begin
    from driftgauge.shared.telemetry import configure_logging

    settings = located_settings(worker_host=host, worker_port=port, worker_processes=processes)
    configure_logging(settings.log_level)
    telemetry = begin(os.environ, "driftgauge-worker")
    tracing = None if telemetry is None else telemetry.tracing
    running, judging = _made(settings, tracing, beside)
    standing: Callable[[], Stands] = running.standing
    if judging is not None:
        standing = partial(_joined, running, judging)
    told = None if beside else open_port(settings, standing, insecure=insecure)
    if telemetry is not None:
        telemetry.push(lambda: running.standing().exposed().written("text").encode())
    running.stop_on_signals()
    gc.freeze()  # libraries stay: looking at them again takes .1 s, while an alarm waits
    gc.set_threshold(*COLLECTED)
    try:
        with nullcontext() if judging is None else judging.kept(running.stop):
            running.run()
    finally:
        if told is not None:
            told.close()
        if telemetry is not None:
            telemetry.close()
    if judging is not None and judging.refused is not None:  # it has said why
        sys.exit(judging.refused)


def _made(
    settings: Settings, tracing: "Tracing | None", beside: str | None
) -> "tuple[Worker, JudgingProcess | None]":
    """Make the worker, as far as it is this process; and the process that judges for it, if it has
    one.
    """
    from driftgauge.consumer.processes.attending import attend
    from driftgauge.consumer.processes.cores import processes_of
    from driftgauge.consumer.processes.judging import JudgingProcess
    from driftgauge.consumer.worker import Worker

    if beside:
        descriptor, _, name = beside.partition(":")
        running = Worker(settings, tracing, "judging", name)
        line = socket.socket(fileno=int(descriptor))
        attend(line, lambda: running.standing().told(), running.stop)
        return running, None
    if processes_of(settings.worker_processes) == 1:
        return Worker(settings, tracing), None
    running = Worker(settings, tracing, "counting")
    return running, JudgingProcess(running.sharing.me.decode())


def _joined(running: "Worker", judging: "JudgingProcess") -> "Stands":
    from driftgauge.consumer.metrics.joined import Joined

    return Joined(running.standing(), judging.told())
