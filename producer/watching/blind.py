"""Rules of the "monitor blind" alerts: whether the monitor itself works. Pure: the watchdog's
memory and an observation of the pipeline in, alerts out.

    blind.stage_fails    critical   a worker fails on an entry again and again, or left it out
    blind.no_worker      critical   entries wait, and nobody owns their partition
    blind.lag            critical   the oldest waiting entry is old, or the owner does not move on
    blind.lost           critical   events have not arrived, and no API process holds them
    blind.rolled_back    critical   Redis came back with an older state, or keys were deleted
    blind.model_hangs    critical   a model call of an API process does not return
    blind.evicts         critical   Redis may evict what was not counted yet, and what was
    blind.dropped        critical   an API process had no room for events
    blind.refused        critical   events do not fit the schema, and are in no log
    blind.labels_refused warning    labels cannot be used, and join no prediction
    blind.dead_letters   warning    entries cannot be read
    blind.silent         warning    no events for longer than usual for the hour
    blind.labels_stopped warning    predictions wait for labels, but none came for the whole wait
    blind.labels_full    warning    predictions or labels have no room to wait for each other
    blind.unpaired       warning    logged requests or answers stay without their other half
    blind.archive        warning    the archive is behind, or lacks what left the log
    blind.notification   critical   a route of notifications does not get through (notification.py)

These go by the clock, so a replay of the log does not raise them. One cause raises one alert: work
that fails is not called unowned or slow too, a partition without a worker is not called slow too,
and events that wait or are refused are no silence. A rule that cannot be decided now leaves its
alert as it is. Every time is Redis's; after a jump back, what lies in the future counts as now.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from driftgauge.producer.watching import archive, exchanges, losses, notification
from driftgauge.producer.watching.observation import (
    HOUR_MS,
    Activity,
    Assessment,
    Hour,
    Memory,
    Observation,
    Work,
    last_hour,
    late,
    named,
    remember,
    unowned,
    works,
)
from driftgauge.shared.connections.refusals import EVICTION_ADVICE
from driftgauge.shared.contract.alert import Alert, AlertEvidence
from driftgauge.shared.contract.alerts import fingerprint
from driftgauge.shared.contract.fault import TRIES
from driftgauge.shared.contract.notifications.status import NOTIFICATION_RULE, ROUTE_SEGMENT
from driftgauge.shared.contract.refused import LEAST_SHARE, RefusedHour
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.rules.monitor import BLIND

NO_VERSION: Final = "-"
NOTIFICATION: Final = BLIND.member(NOTIFICATION_RULE)
SEVERITIES: Final[Mapping[str, AlertSeverity]] = {
    "stage_fails": "critical",
    "no_worker": "critical",
    "lag": "critical",
    "lost": "critical",
    "rolled_back": "critical",
    "model_hangs": "critical",
    "evicts": "critical",
    "dropped": "critical",
    "refused": "critical",
    "labels_refused": "warning",
    "dead_letters": "warning",
    "silent": "warning",
    "labels_stopped": "warning",
    "labels_full": "warning",
    "unpaired": "warning",
    "archive": "warning",
    "notification": "critical",
}
LATE_IN_A_ROW: Final = 2
"""Looks running that must find a lag: while Redis's clock jumps, one entry looks old."""
ASIDE_HOLD_MS: Final = 600_000
"""How long after an entry was set aside the alert stays."""
DROPPED_HOLD_MS: Final = 600_000
"""Time (ms) for which the alert stays after the last dropped event."""
HANGING_HOLD_MS: Final = 120_000
"""Time (ms) for which the alert stays after the last process told of a model call that hangs."""
BLINDING: Final = ("stage_fails", "no_worker", "lag", "lost", "rolled_back")
"""Rules that say that what is logged is not monitored, or what was logged is not counted."""
DAY_MS: Final = 24 * HOUR_MS
HOURS_KEPT: Final = 7 * 24
SILENT_LEAST_EVENTS: Final = 100
SILENT_LEAST_MS: Final = 600_000
SILENT_TIMES_MEAN: Final = 10
SILENT_TIMES_LARGEST: Final = 2


def judge(memory: Memory, observed: Observation) -> list[Alert]:
    """Return the transitions of a model's alerts, and remember.

    Parameters
    ----------
    memory
        Memory of the earlier observations; changed in place.
    """
    for work in works(observed.state):
        remember(memory, work, observed)
    found = [_move(memory, observed, rule, read(memory, observed)) for rule, read in RULES.items()]
    found += [
        _move_route(memory, observed, route, assessed)
        for route, assessed in list(notification.assessments(memory, observed))
    ]
    return [alert for alert in found if alert is not None]


def stage_fails(memory: Memory, observed: Observation) -> Assessment:
    """Work that failed again and again, and entries that were set aside for it a short while ago;
    good again when it goes on. A follower may be switched off, so it fails only while it tries.
    """
    if observed.state.unreadable:
        memory.failing = (
            f"What stands in Redis of this model cannot be read: {observed.state.unreadable}"
        )
        return Assessment(bad=True, value=TRIES, limit=TRIES, summary=memory.failing)
    faults = [(work, work.fault) for work in works(observed.state) if work.fault is not None]
    failing = [fault for work, fault in faults if work.fails(observed.now)]
    aside = [
        fault
        for _, fault in faults
        if fault.over and fault.set_aside and observed.since(fault.at) < ASIDE_HOLD_MS
    ]
    told = failing or aside
    if not told:
        followers = observed.state.follower_faults
        open_ = any(not fault.over for work, fault in faults if work.name not in followers)
        memory.failing = memory.failing if open_ and "stage_fails" in memory.firing else ""
        return Assessment(
            bad=None if open_ else False, limit=TRIES, summary="The worker fails on nothing."
        )
    worst = max(told, key=lambda fault: fault.tries)
    where = f" at entry {worst.entry}" if worst.entry else ""
    end = (
        "It tries again and again. Nothing is lost: what is wrong stands in the worker's log."
        if failing
        else f"Went to the dead letters, and not counted: {worst.set_aside:,}. The rest goes on."
    )
    memory.failing = (
        f"The worker fails on this model: {worst.stage}{where}, {worst.tries} times: "
        f"{worst.reason}. {end}"
    )
    return Assessment(bad=True, value=worst.tries, limit=TRIES, summary=memory.failing)


def no_worker(memory: Memory, observed: Observation) -> Assessment:
    """Judge work without an owner; it is good again when there is an owner that has made
    progress.
    """
    limit = observed.settings.blind_worker_seconds
    alone = {
        work.name: memory.parts[work.name].unowned_ms
        for work in works(observed.state)
        if not work.fails(observed.now)
    }
    since = {
        name: observed.since(moment) / 1000 for name, moment in alone.items() if moment is not None
    }
    if not since:
        return Assessment(
            bad=False,
            limit=limit,
            summary="Every partition with waiting entries has a worker that moves on.",
        )
    owned = {work.name for work in works(observed.state) if work.owned}
    worst = max((seconds for name, seconds in since.items() if name not in owned), default=-1.0)
    summary = (
        f"No worker runs for {named(since)}: entries have waited for {worst:.0f} s. Start "
        "`driftgauge worker`, or look at its log. Nothing is lost: it goes on where it stopped."
    )
    return Assessment(
        bad=True if worst >= limit else None, value=worst, limit=limit, summary=summary
    )


def lag(memory: Memory, observed: Observation) -> Assessment:
    """Judge the age of the oldest waiting entry, or the time without progress of the owner,
    whichever is longer.
    """
    limit = observed.settings.blind_lag_seconds
    owned = [
        work
        for work in works(observed.state)
        if work.waits and work.owned and not work.fails(observed.now)
    ]
    ages = {work.name: _age(memory, observed, work) for work in owned}
    worst = max(ages.values(), default=0.0)
    memory.late = memory.late + 1 if worst > limit else 0
    slow = named({name: age for name, age in ages.items() if age > limit})
    if memory.late:
        summary = (
            f"The worker does not keep up: {slow}, {worst:.0f} s behind. Start more workers, or "
            f"look at the log of the one "
            "that owns it."
        )
        return Assessment(
            bad=True if memory.late >= LATE_IN_A_ROW else None,
            value=worst,
            limit=limit,
            summary=summary,
        )
    settled = worst <= limit / 2 and not unowned(observed)
    return Assessment(
        bad=False if settled else None,
        value=worst,
        limit=limit,
        summary="The worker keeps up again.",
    )


def _age(memory: Memory, observed: Observation, work: Work) -> float:
    waited = 0 if work.oldest_ms is None else observed.since(work.oldest_ms)
    return max(waited, observed.since(memory.parts[work.name].moved_ms)) / 1000


def model_hangs(_: Memory, observed: Observation) -> Assessment:
    """Judge what the API processes tell of model calls that do not return: predictions that are not
    made are in no log.
    """
    told = [one for one in observed.hanging if observed.since(one.told_ms) < HANGING_HOLD_MS]
    limit = observed.settings.model_timeout_seconds
    if not told:
        return Assessment(bad=False, limit=limit, summary="Every model call returns.")
    worst = max(told, key=lambda one: one.seconds)
    summary = (
        f"Version {worst.version} does not answer: a model call has not returned for "
        f"{worst.seconds:.0f} s in {len(told)} API process(es). Its requests are answered 503, and "
        "are not counted. Promote another version, or restart the API."
    )
    return Assessment(bad=True, value=worst.seconds, limit=limit, summary=summary)


def dropped(_: Memory, observed: Observation) -> Assessment:
    """Judge events that an API process dropped for lack of room: they are in no log."""
    recent = [one for one in observed.dropped if observed.since(one.grew_ms) < DROPPED_HOLD_MS]
    events = sum(one.events for one in recent)
    if not events:
        return Assessment(
            bad=False, summary=f"No event was dropped for {DROPPED_HOLD_MS // 60_000} minutes."
        )
    reasons = sorted({reason for one in recent for reason in one.reasons})
    summary = (
        f"{events:,} events were dropped by {len(recent)} API process(es) that serve this model "
        f"({', '.join(reasons)}): "
        "they are not counted. Was Redis away for long? Then give the API a larger queue."
    )
    return Assessment(bad=True, value=events, summary=summary)


def refused(_: Memory, observed: Observation) -> Assessment:
    """Judge the events of about the last hour that the API refused, which are missing from all
    counts.
    """
    hour = observed.state.refused
    found = (
        f"{hour.described()}: they are in no log and not counted. Did the client change, or is the "
        "schema too narrow?"
    )
    return _of_hour(hour, observed, found, "Events fit the schema again.")


def labels_refused(_: Memory, observed: Observation) -> Assessment:
    """Judge the labels of about the last hour that the API refused, as events are judged."""
    hour = observed.state.refused_labels
    found = (
        f"{hour.described('labels')}: they join no prediction, and the performance is that of the "
        "rest."
    )
    return _of_hour(hour, observed, found, "Labels can be used again.")


def _of_hour(hour: RefusedHour, observed: Observation, found: str, over: str) -> Assessment:
    """Judge the share that was refused; `found` and `over` are the words for either."""
    bad = hour.is_bad(observed.now, observed.settings.refused_per_hour)
    advice = " The answers to the client say what was wrong with each."
    summary = over if bad is False else found + advice
    return Assessment(bad=bad, value=hour.share, limit=LEAST_SHARE, summary=summary)


def dead_letters(memory: Memory, observed: Observation) -> Assessment:
    """Judge the dead letters of about the last hour."""
    limit = observed.settings.dead_letters_per_hour
    memory.dead, grown = last_hour(
        memory.dead,
        observed,
        observed.state.judging_dead
        + sum(partition.counters.dead for partition in observed.state.partitions),
    )
    if grown <= limit:
        return Assessment(
            bad=False if grown <= limit / 2 else None,
            value=grown,
            limit=limit,
            summary="Entries are readable.",
        )
    summary = (
        f"{grown:,} entries of the last hour cannot be read and are not counted. Their reasons "
        f"stand in the dead-letter "
        "stream; often a version was not published."
    )
    return Assessment(bad=True, value=grown, limit=limit, summary=summary)


def evicts(_: Memory, observed: Observation) -> Assessment:
    """Judge the policy by which Redis evicts: any that may is bad, since it takes waiting
    predictions and checkpoints without a word.
    """
    advice = EVICTION_ADVICE.format(observed.evicts)
    return Assessment(
        bad=bool(observed.evicts),
        summary=f"Redis {advice}." if observed.evicts else "Redis evicts nothing.",
    )


def labels_stopped(memory: Memory, observed: Observation) -> Assessment:
    """Judge the time without a joined label while predictions wait for labels.

    A model that never got a label raises no alert: it is new, or its labels were never meant to
    come.
    """
    counts = [partition.counters.labels for partition in observed.state.partitions]
    joined = sum(one.joined for one in counts)
    if (
        joined != memory.labels[0]
        or not any(one.waiting for one in counts)
        or unowned(observed)
        or late(observed)
    ):
        memory.labels = joined, observed.now
    memory.labels = joined, min(memory.labels[1], observed.now)
    quiet_ms, hours = observed.since(memory.labels[1]), observed.settings.label_wait_hours
    if not joined or quiet_ms <= hours * HOUR_MS:
        return Assessment(
            bad=False, value=quiet_ms / 1000, limit=hours * 3600, summary="Labels come again."
        )
    summary = (
        f"No label was joined for {quiet_ms / HOUR_MS:.0f} hours, the whole time that a prediction "
        f"waits for its label. The "
        "performance stands still: does whoever sends the labels still run, and with the right ids?"
    )
    return Assessment(bad=True, value=quiet_ms / 1000, limit=hours * 3600, summary=summary)


def labels_full(memory: Memory, observed: Observation) -> Assessment:
    """Judge predictions and labels of about the last hour that found no room to wait for each
    other.
    """
    counts = [partition.counters.labels for partition in observed.state.partitions]
    memory.labels_full, grown = last_hour(
        memory.labels_full, observed, sum(one.full + one.refused for one in counts)
    )
    if not grown:
        return Assessment(
            bad=False, summary="Predictions and labels have room to wait for each other."
        )
    summary = (
        f"{grown:,} predictions or labels of the last hour had no room to wait for each other and "
        f"will not be joined: the "
        f"performance is that of the rest. {sum(one.waiting for one in counts):,} predictions are "
        f"kept, and "
        f"{sum(one.early for one in counts):,} labels whose prediction never came: are their ids "
        f"right? Else raise "
        "DRIFTGAUGE_LABEL_PENDING_MAX, or lower DRIFTGAUGE_LABEL_WAIT_HOURS."
    )
    return Assessment(bad=True, value=grown, summary=summary)


def silent(memory: Memory, observed: Observation) -> Assessment:
    """Judge the time without an event; it is unknown while workers do not count."""
    activity = _observe(memory, observed)
    if unowned(observed) or late(observed) or refused(memory, observed).bad:
        return Assessment(bad=None)
    limit = _longest_silence(activity, observed)
    quiet_ms = observed.since(activity.changed_ms)
    if limit is None or quiet_ms <= limit:
        if activity.changed_ms < memory.firing.get(
            "silent", 0
        ):  # the hour in which it was unusual passed, no event came
            return Assessment(bad=None)
        return Assessment(
            bad=False,
            value=quiet_ms / 1000,
            limit=(limit or 0) / 1000,
            summary="Events come again.",
        )
    summary = (
        f"No events for {quiet_ms / 60_000:.0f} minutes, where {limit / 60_000:.0f} would be long. "
        f"Is the model still "
        "called, and does its API reach Redis?"
    )
    return Assessment(bad=True, value=quiet_ms / 1000, limit=limit / 1000, summary=summary)


def _observe(memory: Memory, observed: Observation) -> Activity:
    """Take in what was counted since the last observation."""
    events = observed.state.events
    activity = memory.activity
    if activity is None:
        activity = memory.activity = Activity(observed.now, observed.now, events)
    if events != activity.events:
        hour = observed.now // HOUR_MS
        if not activity.hours or activity.hours[-1].hour != hour:
            activity.hours.append(Hour(hour, activity.events, 0))
        activity.hours[-1].gap_ms = max(
            activity.hours[-1].gap_ms, observed.since(activity.changed_ms)
        )
        activity.hours = [one for one in activity.hours if hour - HOURS_KEPT < one.hour <= hour]
        activity.events, activity.changed_ms = events, observed.now
    if unowned(observed) or late(observed):
        activity.changed_ms = observed.now
    activity.changed_ms = min(activity.changed_ms, observed.now)
    return activity


def _longest_silence(activity: Activity, observed: Observation) -> float | None:
    """Return the longest silence (ms) that is usual for the hour.

    None while nothing is usual: without events ever, or, if it is to be learned, before a whole day
    was watched and with fewer than 100 events in the 24 hours before the last one.
    """
    if observed.settings.silent_after_seconds:
        return observed.settings.silent_after_seconds * 1000 if activity.events else None
    if not activity.hours or activity.changed_ms - activity.since_ms < DAY_MS:
        return None
    last_day = next(one for one in activity.hours if one.hour > activity.hours[-1].hour - 24)
    events = activity.events - last_day.before
    if events < SILENT_LEAST_EVENTS:
        return None
    return max(
        SILENT_LEAST_MS,
        SILENT_TIMES_MEAN * DAY_MS / events,
        SILENT_TIMES_LARGEST * _usual_gap(activity, observed.now),
    )


def _usual_gap(activity: Activity, now: int) -> int:
    """Return the longest gap (ms) between events that belongs to this hour.

    If this hour of the day had events on every day that was watched, it is the longest one that
    ended within an hour of it on those days: a night without traffic says nothing of noon. Else the
    hour is idle on some days, and it is the longest one of the week.
    """
    hour, gaps = now // HOUR_MS, {one.hour: one.gap_ms for one in activity.hours}
    days = [
        past
        for past in range(hour - 24, hour - HOURS_KEPT - 1, -24)
        if past > activity.since_ms // HOUR_MS
    ]
    if days and all(past in gaps for past in days):
        return max(gaps.get(past + beside, 0) for past in (hour, *days) for beside in (-1, 0, 1))
    return max(gaps.values())


def _move(memory: Memory, observed: Observation, rule: str, assessed: Assessment) -> Alert | None:
    """Begin or end an alert by its assessment."""
    if assessed.bad:
        memory.told[rule] = assessed.summary
    elif assessed.bad is False:
        memory.told.pop(rule, None)
    if assessed.bad and rule not in memory.firing:
        memory.firing[rule] = observed.now
        return _alert(observed, rule, assessed, "firing", observed.now)
    if assessed.bad is False and rule in memory.firing:
        return _alert(observed, rule, assessed, "resolved", memory.firing.pop(rule))
    return None


def _move_route(
    memory: Memory, observed: Observation, route: str, assessed: Assessment
) -> Alert | None:
    """Begin or end the alert of a route of notifications by its assessment."""
    segment = f"{ROUTE_SEGMENT}{route}"
    if assessed.bad and route not in memory.routes:
        memory.routes[route] = observed.now
        return _alert(observed, NOTIFICATION, assessed, "firing", observed.now, segment)
    if assessed.bad is False and route in memory.routes:
        started = memory.routes.pop(route)
        return _alert(observed, NOTIFICATION, assessed, "resolved", started, segment)
    return None


def fingerprint_of(model: str, rule: str, segment: str = "") -> str:
    """Return the fingerprint of a rule's alert of a model."""
    return fingerprint(model, NO_VERSION, "", BLIND.of(rule), segment)


def _alert(
    observed: Observation,
    rule: str,
    assessed: Assessment,
    state: Literal["firing", "resolved"],
    started: int,
    segment: str = "",
) -> Alert:
    model, name = observed.state.model, BLIND.of(rule)
    evidence = AlertEvidence(
        statistic=name,
        value=assessed.value,
        threshold=assessed.limit,
        expected=None,
        n=0,
        m=0,
        events=observed.state.events,
        window_start=started,
        window_end=observed.now,
    )
    return Alert(
        fingerprint=fingerprint_of(model, rule, segment),
        model=model,
        version=NO_VERSION,
        feature="",
        rule=name,
        severity=SEVERITIES[rule],
        state=state,
        summary=assessed.summary,
        evidence=evidence,
        started=started,
        updated=observed.now,
        ended=observed.now if state == "resolved" else None,
        snapshot="",
        segment=segment,
    )


RULES: Final[Mapping[str, Callable[[Memory, Observation], Assessment]]] = {
    "stage_fails": stage_fails,
    "no_worker": no_worker,
    "lag": lag,
    "lost": losses.lost,
    "rolled_back": losses.rolled_back,
    "model_hangs": model_hangs,
    "evicts": evicts,
    "dropped": dropped,
    "refused": refused,
    "labels_refused": labels_refused,
    "dead_letters": dead_letters,
    "silent": silent,
    "labels_stopped": labels_stopped,
    "labels_full": labels_full,
    "unpaired": exchanges.unpaired,
    "archive": archive.behind,
}
"""What each rule reads. That of the routes is not among them: it has an alert for each route."""
NAMES: Final = (*RULES, NOTIFICATION)
