"""Ids and CloudEvents of alerts, incidents and snapshots, whether judging makes them from the log
or the watchdog from the clock.

The watchdog's alerts are about the monitor itself, not about drift of the model. They do not depend
on the log, so a replay of the log does not raise them again; their times are those of Redis's
clock.
"""

import hashlib
from datetime import UTC, datetime
from typing import Final

import msgspec

from driftgauge.shared.contract.alert import Alert, CloudEvent, schema_id
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.snapshot import Snapshot

ALERTS_KEPT: Final = 10_000
"""Most entries of a model's alert stream."""
INCIDENTS_KEPT: Final = 10_000
"""Most entries of a model's incident stream."""
MARKS: Final = frozenset({"acknowledged", "silenced"})
"""Changes that are marks on an alert, not states; each has an event type of its own."""


def fingerprint(model: str, version: str, feature: str, rule: str, segment: str = "") -> str:
    """Return the id of an alert, which is the same for all its transitions, also after a restart.

    Examples
    --------
    >>> fingerprint("steel", "1.0.0", "x", "psi")
    '71256aeb82dfcc53'
    """
    named = [model, version, feature, rule, *([segment] if segment else [])]
    return hashlib.sha256(msgspec.json.encode(named)).hexdigest()[:16]


def incident_id(model: str, fingerprint: str, opened: int) -> str:
    """Return the id of an incident, which is the same whenever the same log is judged.

    Parameters
    ----------
    fingerprint
        The alert that opened it.
    opened
        Logical time (ms) at which it did.

    Examples
    --------
    >>> incident_id("steel", "71256aeb82dfcc53", 1)
    '6b3108a1eb9f83ec'
    """
    named = [model, fingerprint, opened]
    return hashlib.sha256(msgspec.json.encode(named)).hexdigest()[:16]


def snapshot_id(model: str, version: str, events: int) -> str:
    """Return the id of the snapshot of a version after so many events of the model.

    Examples
    --------
    >>> snapshot_id("steel", "1.0.0", 6000)
    'steel-1.0.0-000000006000'
    """
    return f"{model}-{version}-{events:012d}"


def cloud_event(data: Alert | Incident | Snapshot) -> bytes:
    """Wrap an alert, an incident or a snapshot as CloudEvents 1.0 JSON; its id is the same whenever
    the same log is judged.

    The severity is part of the event's id, since with several partitions it can rise without a
    further event. So is the transition's number, since marks and reminders change neither state nor
    events.
    """
    if isinstance(data, Alert):
        name = (
            f"{data.fingerprint}-{data.started}-{data.evidence.events}-{data.state}-{data.severity}"
        )
        name += f"-{data.number}" if data.number else ""
        kind = f"alert.{data.change if data.change in MARKS else data.state}"
        subject, moment = f"{data.version}/{data.feature or data.segment}", data.updated
    elif isinstance(data, Incident):
        name, kind = f"{data.id}-{data.number}", f"incident.{data.change}"
        subject, moment = f"{data.version}/{data.id}", data.updated
    else:
        name, kind, subject, moment = (
            data.id,
            f"snapshot.{data.trigger}",
            data.version,
            data.created,
        )
    return msgspec.json.encode(
        CloudEvent(
            id=name,
            source=f"/driftgauge/{data.model}",
            type=f"driftgauge.{kind}",
            subject=subject,
            time=datetime.fromtimestamp(moment / 1000, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            data=msgspec.Raw(msgspec.json.encode(data)),
            dataschema=schema_id(type(data).__name__.lower()),
        )
    )
