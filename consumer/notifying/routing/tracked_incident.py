"""What a route knows of one incident, and what becomes of that at a transition. Pure.

Theory of operation

- A transition of which people are to be notified (`notify`) is *news*, if the route takes the
  incident or has told it before. It waits until it is sent. The next news takes its place: of
  an incident only the newest is worth telling.
- That it is over is news only if it was told, or may have been. Else what waits is dropped, and the
  incident is forgotten.
- An incident that people were notified of, and that the route did not take then, is news when it
  meets the route's conditions: an alert of the rule has joined it, or it recommends the action.
- While the incident is silenced, or all its alerts are, news waits: until the next transition that
  is not, or the end of the silence. That hold is apart from the time of the next attempt (`due`):
  neither shortens nor outlives the other. Quiet hours are no part of the state: choosing.py asks
  for them when news is due.
- An incident that no longer meets the route's conditions before it was told is not told.
- Repetitions end with an acknowledgement. They pause in a silence.
- For a target that changes its message in place, other transitions of an incident that was told are
  sent too, silently, and some time apart.
"""

from typing import Final

import msgspec

from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.severity import AlertSeverity

SILENT_PAUSE_MS: Final = 30_000
"""Least time (ms) between what was sent of an incident and a silent change of it."""
MOST_PUT_OFF_MS: Final = 3_600_000
"""Longest time (ms) by which news is put off: by a target that asks for it, or for others to go
with it.
"""
NEVER: Final = 2**53
"""A moment (ms) that does not come."""


class News(msgspec.Struct, frozen=True, omit_defaults=True):
    """A transition that waits to be sent.

    Parameters
    ----------
    number, event, severity
        Of the transition.
    since
        When it came (ms by Redis's clock, as all times of this room).
    due
        When it is to be sent, or tried again, at the earliest.
    loud
        Whether people are to be notified.
    held_until
        Until when a silence holds it back; 0 if none does.
    repeat
        Number of the repetition that it is; 0 for none.
    tries, failed
        Attempts that failed, and when the first one did, since it was last held back.
    """

    number: int
    event: bytes
    severity: AlertSeverity
    since: int
    due: int
    loud: bool = True
    held_until: int = 0
    repeat: int = 0
    tries: int = 0
    failed: int = 0

    def ready_at(self, now: int) -> int:
        """Return when it is to be sent at the earliest, by attempts and silences.

        No attempt is put off by more than MOST_PUT_OFF_MS, so what is due later than that was put
        off by a clock that went back meanwhile.
        """
        due = self.due if self.due - now <= MOST_PUT_OFF_MS else now
        return max(due, self.held_until)


class TrackedIncident(msgspec.Struct, frozen=True, omit_defaults=True):
    """An incident as a route knows it.

    Parameters
    ----------
    id, model
        The incident and its model.
    seen
        Number of the newest transition that was read.
    event
        That transition, while the incident is open and the route takes it.
    told
        Number of the newest transition that was sent; 0 for none.
    receipt
        What the target gave for it.
    sent
        When it was sent.
    is_open, is_marked
        Whether the incident is open, and whether somebody acknowledged or silenced it: then it is
        not told again.
    is_maybe
        Whether something of it may have been told, although that is not known: the answer was lost,
        or the worker died before it came.
    is_missed
        Whether people were notified of it while the route did not take it.
    repeats, repeat_at
        How often it was told again, and when it is to be told again next; 0 for never.
    updated
        When it changed last.
    news
        What waits; None for nothing.
    """

    id: str
    model: str
    seen: int = 0
    event: bytes = b""
    told: int = 0
    receipt: str = ""
    sent: int = 0
    is_open: bool = True
    is_marked: bool = False
    is_maybe: bool = False
    is_missed: bool = False
    repeats: int = 0
    repeat_at: int = 0
    updated: int = 0
    news: News | None = None

    @property
    def is_known(self) -> bool:
        """Whether something of it was told, or may have been."""
        return self.told > 0 or self.is_maybe


def moved(
    tracked: TrackedIncident,
    incident: Incident,
    event: bytes,
    now: int,
    *,
    written: int,
    taken: bool,
    in_flight: bool,
    in_place: bool,
) -> TrackedIncident | None:
    """Return what a route knows after a transition of an incident; None if it need not know it.

    Parameters
    ----------
    tracked
        What it knew before; of an incident that is new to it, one without a transition.
    event
        The transition as CloudEvents JSON.
    written
        When it was written to its stream, from which on a silence lasts.
    taken
        Whether the route takes the incident as it is now.
    in_flight
        Whether an earlier transition is being sent, so that it may have been told by now.
    in_place
        Whether the target changes its messages in place.
    """
    told = tracked.is_known or in_flight
    is_open = incident.state == "open"
    if not told and not is_open:
        return None
    if not told and not taken:
        missed = tracked.is_missed or incident.notify or tracked.news is not None
        return TrackedIncident(
            tracked.id, tracked.model, incident.number, is_missed=missed, updated=now
        )
    if tracked.is_missed and not incident.muted:
        incident = msgspec.structs.replace(incident, notify=True)
        tracked = msgspec.structs.replace(tracked, is_missed=False)
    silence = _silence(incident, written)
    news = _news(tracked, incident, event, now, silence, in_place=in_place and told)
    changed = msgspec.structs.replace(
        tracked,
        seen=incident.number,
        event=event if is_open else b"",
        is_open=is_open,
        is_marked=incident.muted or incident.acknowledged is not None,
        updated=now,
        news=news,
    )
    if not is_open or changed.is_marked:
        return msgspec.structs.replace(changed, repeats=0, repeat_at=0)
    if tracked.news is not None and tracked.news.repeat and news is None:
        return msgspec.structs.replace(changed, repeat_at=tracked.news.due)
    return changed


def _news(
    tracked: TrackedIncident,
    incident: Incident,
    event: bytes,
    now: int,
    silence: int,
    *,
    in_place: bool,
) -> News | None:
    """Return what waits after a transition; `silence` is until when it is held back."""
    waiting = tracked.news
    if waiting is not None and waiting.repeat:
        waiting = None  # it would repeat what is no longer so
    found = News(incident.number, event, incident.severity, now, now)
    if incident.notify and not silence:
        return _behind(found, waiting)
    if incident.state != "open":  # of which nobody is to be notified
        return msgspec.structs.replace(found, loud=False) if in_place else None
    if waiting is not None and waiting.loud:
        if waiting.held_until == silence:
            return waiting
        return msgspec.structs.replace(waiting, held_until=silence, failed=0)
    if in_place:
        due = max(now, tracked.sent + SILENT_PAUSE_MS)
        return _behind(msgspec.structs.replace(found, loud=False, due=due), waiting)
    return None


def _behind(found: News, waiting: News | None) -> News:
    """Return news in the place of what waited: while attempts fail it does not come earlier."""
    if waiting is None or not waiting.tries:
        return found
    return msgspec.structs.replace(
        found, due=max(found.due, waiting.due), tries=waiting.tries, failed=found.since
    )


def _silence(incident: Incident, written: int) -> int:
    """Return until when a transition says that nobody is told; 0 if people are."""
    if not incident.muted:
        return 0
    silence = incident.silenced
    left = 0 if silence is None else silence.until - incident.updated
    return written + left if left > 0 else NEVER
