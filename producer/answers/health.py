"""How the API and the pipeline are, as `GET /health` tells it."""

from typing import Any, Literal

import msgspec

from driftgauge.shared.contract.counters import ExchangeCounts
from driftgauge.shared.contract.fault import StageFault


class Spooled(msgspec.Struct, frozen=True):
    """Events on disk that wait for Redis."""

    events: int
    bytes: int


class Ring(msgspec.Struct, frozen=True):
    """The events of the last seconds, kept to be sent again.

    Parameters
    ----------
    shortened
        How often it was too small for them.
    """

    bytes: int
    shortened: int


class Task(msgspec.Struct, frozen=True):
    """A background task of the API.

    Parameters
    ----------
    last_success_seconds
        Age of its last success, in seconds.
    failures
        Failures since then.
    fault
        What it failed on; null if on nothing.
    """

    last_success_seconds: float
    failures: int
    fault: str | None


class RefusedField(msgspec.Struct, frozen=True):
    """Events that were refused for one field and reason; `-` is no field of the model."""

    field: str
    reason: str
    events: int


class RefusedEvents(msgspec.Struct, frozen=True):
    """What all API processes took and refused within the last hour."""

    last_hour: int
    taken_last_hour: int
    fields: list[RefusedField]


class MissingNumbers(msgspec.Struct, frozen=True):
    """Events that publishers numbered and that are not in the log.

    Parameters
    ----------
    waiting
        Those that a publisher still holds.
    held_by_nobody
        Those that are lost as far as anybody knows.
    """

    waiting: int
    held_by_nobody: int


class Lag(msgspec.Struct, frozen=True):
    """Entries of a log that wait to be counted.

    Parameters
    ----------
    entries
        Their number if `exact`, else a lower bound.
    seconds
        How far the counts are behind the log.
    oldest_seconds
        Age of the oldest one; 0 if none waits.
    """

    entries: int
    exact: bool
    seconds: float
    oldest_seconds: float


class PartitionHealth(msgspec.Struct, frozen=True):
    """A partition of a model's log.

    Parameters
    ----------
    owned
        Whether a worker counts it.
    counted
        The counters of counting.
    missing
        Numbers that publishers used and that have not arrived.
    rolled_back
        How often its panes went back to an older state.
    dead_letters
        Entries that could not be read, and are kept apart.
    exchanges
        What became of the halves of logged requests and answers.
    fault
        What counting it fails on; null if on nothing.
    """

    partition: int
    owned: bool
    counted: dict[str, Any]
    missing: int
    rolled_back: int
    dead_letters: int
    exchanges: ExchangeCounts
    fault: StageFault | None
    lag: Lag


class JudgingHealth(msgspec.Struct, frozen=True):
    """Judging of a model.

    Parameters
    ----------
    owned
        Whether a worker judges it.
    panes_behind
        For each partition the closed panes that were not read; null if that is not known.
    panes_waiting
        For each partition what was read and waits for other partitions.
    dead_letters
        Panes that could not be processed.
    labels_too_late
        Labels whose day is not kept any more.
    fault
        What it fails on; null if on nothing.
    """

    owned: bool
    panes_behind: list[int | None]
    panes_waiting: list[int]
    dead_letters: int
    labels_too_late: int
    fault: StageFault | None


class FollowerHealth(msgspec.Struct, frozen=True):
    """A follower of a model's streams; `fault` is what it fails on, null if on nothing."""

    fault: StageFault | None


class ModelHealth(msgspec.Struct, frozen=True):
    """A model's part of the pipeline.

    Parameters
    ----------
    events
        Predictions that were counted.
    unreadable
        Why nothing of it can be read; empty if it can be.
    """

    events: int
    refused: RefusedEvents
    refused_labels: RefusedEvents
    missing: MissingNumbers
    unreadable: str
    partitions: list[PartitionHealth]
    judging: JudgingHealth
    followers: dict[str, FollowerHealth]


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the API is, and the pipeline if `verbose` asks for it.

    Parameters
    ----------
    models
        Model to the version that serves.
    queued
        Events in memory that wait for Redis.
    published, resent
        Events that this process published, and sent again.
    dropped
        Reason to the events that this process dropped.
    refused, refused_labels
        Model to the events and the labels that this process refused.
    hanging
        Model to the version that does not answer.
    damaged, adopted
        Spool records that could not be read, and spools of processes that ended.
    tasks
        The background tasks; only with `verbose`.
    pipeline
        By model; only with `verbose`, and null if it cannot be read.
    reason
        Why it cannot be read.
    """

    status: Literal["ok", "degraded"]
    redis: Literal["connected", "away"]
    models: dict[str, str]
    queued: int
    spooled: Spooled
    published: int
    resent: int
    ring: Ring
    dropped: dict[str, int]
    refused: dict[str, int]
    refused_labels: dict[str, int]
    hanging: dict[str, str]
    damaged: int
    adopted: int
    tasks: dict[str, Task] | None = None
    pipeline: dict[str, ModelHealth] | msgspec.UnsetType | None = msgspec.UNSET
    reason: str = ""


class Alive(msgspec.Struct, frozen=True):
    """The answer of a process that lives."""

    status: Literal["alive"] = "alive"


class RefusedVersion(msgspec.Struct, frozen=True):
    """A version that should serve and cannot; null if it is no single one."""

    version: str | None
    reason: str


class Served(msgspec.Struct, frozen=True, omit_defaults=True):
    """What serves a model.

    Parameters
    ----------
    serving
        The version that serves; null if none does.
    refused
        The version that should and cannot; absent if there is none.
    """

    serving: str | None
    refused: RefusedVersion | None = None


class Readiness(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether all is well.

    Parameters
    ----------
    reasons
        What is not; only for who may read.
    models, tasks
        What serves each model, and the background tasks; only with `verbose`.
    """

    status: Literal["ready", "degraded"]
    reasons: list[str] | None = None
    models: dict[str, Served] | None = None
    tasks: dict[str, Task] | None = None
