"""Archiving the incidents of a model: each transition of their stream is a row.

Redis keeps 10,000 transitions of a model, whether they are archived or not; their numbers tell what
is missing.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from driftgauge.consumer.stages.archiving.archiving import WENT_BACK_MS
from driftgauge.consumer.stages.archiving.following import FollowedArchive
from driftgauge.consumer.stages.follower import Event
from driftgauge.shared.archive.archived import Followed
from driftgauge.shared.archive.columns import ALERTS, INCIDENTS
from driftgauge.shared.archive.rows import EVENTS, Rows
from driftgauge.shared.archive.store import Store
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.incident import Incident, IncidentAlert
from driftgauge.shared.contract.snapshot_parts import part_of
from driftgauge.shared.durations import MAX_TIME_MS
from driftgauge.shared.settings import Settings
from driftgauge.shared.unpacking import UNREADABLE

HEAD: Final = "incidents"
MOST: Final = 2**63
"""Numbers from here on fit into no column."""
_ALERT: Final = tuple(field.name for field in ALERTS.value_type)


class Incidents(FollowedArchive):
    """Writes the incidents of one model to the archive."""

    name = "archiving incidents of"
    key = "archive:incidents"
    kind = "incidents"
    entries = most = 200

    def __init__(self, settings: Settings, model: str, store: Store) -> None:
        super().__init__(settings, model, store, HEAD)

    def _align(self, head: EntryId) -> None:
        """Remove what Redis lost of the last seconds; what a copy from before lacks, and what was
        archived by a checkpoint that is gone, the archive alone has.
        """
        back_ms = head.ms - self._end.ms
        if head <= self._end:
            return
        if not self._state.end or back_ms > WENT_BACK_MS:
            self._state = Followed(str(head))
        else:
            self._remove_behind(self._state.end)

    def _rows(self, events: Sequence[Event]) -> Rows:
        rows = Rows(self._partition)
        found = [(EntryId.parse(one[0]), self._read(*one)) for one in events]
        known = [(place, incident) for place, incident in found if incident is not None]
        if known:
            ms, numbers = np.array([place for place, _ in known], dtype=np.int64).T
            given = columns_of([incident for _, incident in known])
            rows.add(self.kind, EVENTS, INCIDENTS, given, ms, numbers)
        return rows

    def _read(self, entry_id: bytes, event: bytes) -> Incident | None:
        try:
            incident = part_of(event, Incident)
        except UNREADABLE:  # it is told below
            incident = None
        if incident is None or not _fits(incident):
            self._leave_out(entry_id, "cannot be read")
            return None
        return incident


def columns_of(incidents: Sequence[Incident]) -> dict[str, list[Any]]:
    """Return the columns of transitions, but for their places."""
    names = [name for name in INCIDENTS.names if name in Incident.__struct_fields__]
    given = {name: [getattr(one, name) for one in incidents] for name in names}
    return given | {
        "time": [one.updated for one in incidents],
        "cause": [one.cause.kind for one in incidents],
        "rule": [one.cause.rule for one in incidents],
        "feature": [one.cause.feature for one in incidents],
        "segment": [one.cause.segment for one in incidents],
        "alerts": [[_alert(alert) for alert in one.alerts] for one in incidents],
    }


def _alert(alert: IncidentAlert) -> dict[str, Any]:
    return {name: getattr(alert, name) for name in _ALERT}


def _fits(incident: Incident) -> bool:
    """Tell whether its numbers and times fit into the columns."""
    numbers = (incident.number, incident.of_features, incident.of_alerts)
    return all(0 <= one < MOST for one in numbers) and all(
        0 <= time <= MAX_TIME_MS for time in _times(incident)
    )


def _times(incident: Incident) -> list[int]:
    """Return all times that become times of the calendar."""
    own = [incident.since, incident.earliest, incident.latest, incident.opened, incident.updated]
    alerts = [(one.started, one.joined, one.ended) for one in incident.alerts]
    found = [*own, incident.ended, *(time for times in alerts for time in times)]
    return [time for time in found if time is not None]
