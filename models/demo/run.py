"""The demo (`driftgauge demo`): Redis, API and worker run as processes of their own, predictions
are posted to the API, and half-way one feature begins to drift.

Nothing is tuned for it: the thresholds are the production defaults, the shift is half a standard
deviation of one feature. The traffic is exchangeable (simulated rows are drawn at random, the rows
of a file are shuffled), because the closed-form false-alarm rates hold for such traffic.
"""

import asyncio
import json
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec
import redis
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from driftgauge.models.common.steps import step
from driftgauge.models.common.training import register
from driftgauge.models.demo.live import DemoPlan, DemoResult, LiveDemo, read_counters
from driftgauge.models.demo.traffic import SHIFT_SD
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.local.deployment import Deployment
from driftgauge.shared.local.running import RunningDeployment, beside
from driftgauge.shared.moments import untold
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.reporting.files import written
from driftgauge.shared.settings import Settings

INTERRUPTED_S = 5.0
"""Longest wait for the last counts and reports at the end, in seconds."""


def run(plan: DemoPlan, settings: Settings) -> None:
    """Run the demo; every process is stopped at the end, whatever happens."""
    started = time.monotonic()
    console = Console(stderr=plan.as_json, highlight=False)
    result = DemoResult()
    with tempfile.TemporaryDirectory(prefix="driftgauge-demo-") as folder:
        plan = replace(plan, output=plan.output.absolute())
        own = settings.model_copy(
            update={
                "data_dir": Path(folder),
                "registry_dir": Path(folder) / "registry",
                "keys_file": None,  # the API is open, on loopback, whatever the environment names
                "reports_dir": plan.output,
                "key_prefix": f"{settings.key_prefix}-demo-{uuid.uuid4().hex[:8]}",
                "default_model": plan.model.name,
            }
        )
        with step(console, f"Training the {plan.model.name} model (some seconds)"):
            trained = plan.model.train(plan.data, plan.seed)
        with step(console, "Registering it: its reference, its checks"):
            register(plan.model.patient, trained, registry_of(own))
        metric, value = next(iter(trained.metrics.items()))
        features = len(plan.model.schema.features)
        console.print(
            f"  {plan.model.summary}, from {features} features: {metric} {value:.3f} on rows it "
            f"has not seen"
        )
        with ExitStack() as stack:
            console.print("Starting Redis, API and worker …")
            running = stack.enter_context(Deployment(own, "demo"))
            other = stack.enter_context(beside(settings.data_dir, running.running))
            _announce(console, plan, running)
            _tell_where(console, settings, running, other)
            client = connect(running.settings.redis_url)
            try:
                with suppress(KeyboardInterrupt):
                    asyncio.run(LiveDemo(plan, console, running, result, trained).run())
                _count(result, plan, client, own)
                _find_reports(result, plan, running)
            finally:
                if settings.redis_url is not None:
                    _forget(client, own.key_prefix)
                client.close()
            _conclude(console, plan, result, running, time.monotonic() - started)


def _announce(console: Console, plan: DemoPlan, running: Deployment) -> None:
    console.print(f"  [bold]{running.url}/[/]  the dashboard, live", highlight=False)
    if running.settings.port != running.wanted_port:
        console.print(f"Port {running.wanted_port} is in use; using {running.settings.port}.")
    console.print(
        f"{running.server['kind'].capitalize()} {running.server['version']}, API and worker run."
    )
    for path in ("docs", "alerts", "reports/latest?format=html"):
        console.print(f"  {running.url}/{path}")
    if plan.in_order:
        console.print(
            "In the order of time the file's rows are not exchangeable: seasons move every "
            "feature, and the alerts that "
            "this raises before the injection are no false alarms of chance but real change. "
            "Without --in-order the rows "
            "are shuffled, as the stated false-alarm rates assume."
        )
    elif plan.data is not None:
        console.print(
            "The file's rows are shuffled, since the stated false-alarm rates hold for "
            "exchangeable traffic."
        )
    until = "until Ctrl-C" if plan.events is None else f"{plan.events:,} of them"
    console.print(
        f"Posting predictions, {until}; {plan.model.drifting_feature} drifts after "
        f"{plan.clean_events:,}. "
        "Their true values follow, most of them."
    )


def _tell_where(
    console: Console, settings: Settings, running: Deployment, other: RunningDeployment | None
) -> None:
    """Say which deployment the other commands find in this folder."""
    if other is None:
        said = "Meanwhile, in this folder: driftgauge status, incidents, alerts, report, …"
    else:
        said = (
            f"The other commands talk to the {other.command} that runs in "
            f"{settings.data_dir.absolute()} ({other.api}); for this demo: export "
            f"DRIFTGAUGE_DATA_DIR={running.settings.data_dir.absolute()}"
        )
    console.print(Text(said), soft_wrap=True)


def _count(result: DemoResult, plan: DemoPlan, client: redis.Redis, settings: Settings) -> None:
    """Read from counting's checkpoint how many events were counted.

    It waits a moment for the last commit, which after Ctrl-C may still be under way.
    """
    keys, deadline = Keys(settings.key_prefix), time.monotonic() + INTERRUPTED_S
    while (
        counted := read_counters(client, keys, plan.model.name).events
    ) < result.published and time.monotonic() < deadline:
        time.sleep(0.05)
    result.counted = counted


def _find_reports(result: DemoResult, plan: DemoPlan, running: Deployment) -> None:
    """Wait until the worker has written the report of the latest snapshot."""
    answer = httpx.get(
        f"{running.url}/reports/latest", params={"model": plan.model.name}, timeout=10
    )
    if answer.status_code != httpx.codes.OK:
        return
    snapshot, deadline = (
        untold(answer.json(), Snapshot),
        time.monotonic() + INTERRUPTED_S,
    )
    while (
        not (found := written(snapshot, plan.output / plan.model.name))
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    result.reports = [str(path) for path in found]


def _conclude(
    console: Console, plan: DemoPlan, result: DemoResult, running: Deployment, seconds: float
) -> None:
    first = result.first_alert_event
    console.print(
        f"{result.published:,} predictions published, {result.counted:,} counted, in "
        f"{seconds:.1f} s."
    )
    if result.injected_at is not None:
        _tell_story(console, plan, result, result.injected_at)
    for path in result.reports:
        console.print(f"  {path}", soft_wrap=True)
    if plan.as_json:
        drift = {
            "feature": plan.model.drifting_feature,
            "injected_at_event": result.injected_at,
            "first_alert_event": first,
        }
        printed = {
            "published": result.published,
            "counted": result.counted,
            "alerts": msgspec.to_builtins(result.alerts),
            "incidents": msgspec.to_builtins(list(result.incidents.values())),
            "reports": result.reports,
            "drift": drift,
            "redis": running.server,
            "seconds": round(seconds, 2),
        }
        sys.stdout.write(json.dumps(printed) + "\n")


def _tell_story(console: Console, plan: DemoPlan, result: DemoResult, injected_at: int) -> None:
    """Say what was injected, what was said of it and how soon, and where to read on."""
    feature = plan.model.drifting_feature
    console.print(
        f"[bold]Injected:[/] after {injected_at:,} predictions {feature} was off by {SHIFT_SD} sd."
    )
    first = result.first_alert_event
    drift = [one for one in result.incidents.values() if one.kind == "model"]
    if first is None or not drift:
        console.print("[bold]Said:[/] nothing, so far.")
        return
    after = first - injected_at
    when = f"{after:,} predictions later" if after >= 0 else "before it, by chance"
    console.print(f"[bold]Said:[/] {when}, in the end: {escape(drift[-1].headline)}")
    others = len(result.incidents) - len(drift)
    beside = f" Beside it {others} of the machine's own: it is slow." if others else ""
    count = f"{len(drift)} incident{'s' if len(drift) != 1 else ''}"
    console.print(
        f"[bold]Look:[/] {count}, {len(result.alerts)} changes of alerts as evidence; the last "
        f"reports are here.{beside}"
    )


def _forget(client: redis.Redis, prefix: str) -> None:
    """Delete the demo's keys from a Redis that was configured by the user."""
    for key in client.scan_iter(match=f"{prefix}:*", count=1000):
        client.delete(key)
