"""The state of judging one model, and its form in the checkpoint: one hash field per part.

state               offsets, traffic and totals per partition, what was last reported
alert:FINGERPRINT   an alert that is pending or firing
pane:VERSION:P:N    a pane of a version's window
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from consumer.judging.lifecycle import AlertState
from consumer.judging.window import VersionWindow, WindowPane


class Reported(msgspec.Struct):
    """When a version's last snapshot report was taken: logical time (ms), events of the model."""

    time: int
    events: int


class Progress(msgspec.Struct):
    """Small numbers of the state.

    Parameters
    ----------
    offsets
        Id of the last panes entry judged, per partition.
    totals
        Events counted, per partition.
    events_per_day
        Measured traffic, per partition; None until it is known.
    reported
        By version.
    """

    offsets: dict[int, str] = {}
    totals: dict[int, int] = {}
    events_per_day: dict[int, float | None] = {}
    reported: dict[str, Reported] = {}

    @property
    def events(self) -> int:
        """Events of the model."""
        return sum(self.totals.values())

    def model_events_per_day(self, expected: float) -> float:
        """Traffic of the model; what was expected until every partition has measured its own."""
        rates = [rate for rate in self.events_per_day.values() if rate is not None]
        return sum(rates) if rates and len(rates) == len(self.events_per_day) else expected


@dataclass(slots=True)
class JudgingState:
    """Everything that judging one model knows. `advance` owns it; `changed` names the fields to commit."""

    progress: Progress = field(default_factory=Progress)
    windows: dict[str, VersionWindow] = field(default_factory=dict)
    alerts: dict[str, AlertState] = field(default_factory=dict)
    changed: dict[bytes, bytes] = field(default_factory=dict)
    """Fields to write; an empty value is a field to delete."""

    def alerts_of(self, version: str) -> list[AlertState]:
        """Give the alerts of a version in one order, however they came out of the checkpoint."""
        found = [alert for alert in self.alerts.values() if alert.version == version]
        return sorted(found, key=lambda alert: (alert.started, alert.fingerprint))

    def keep_pane(self, version: str, pane: WindowPane) -> None:
        self.changed[f"pane:{version}:{pane.key}".encode()] = msgspec.msgpack.encode(pane)

    def drop_pane(self, version: str, pane: WindowPane) -> None:
        self.changed[f"pane:{version}:{pane.key}".encode()] = b""

    def keep_alert(self, alert: AlertState) -> None:
        self.alerts[alert.fingerprint] = alert
        self.changed[f"alert:{alert.fingerprint}".encode()] = msgspec.json.encode(alert)

    def drop_alert(self, fingerprint: str) -> None:
        del self.alerts[fingerprint]
        self.changed[f"alert:{fingerprint}".encode()] = b""

    def pack_changed(self) -> dict[bytes, bytes]:
        """Give the fields that changed since the last call; an empty value is a field to delete."""
        packed = {**self.changed, b"state": msgspec.json.encode(self.progress)}
        self.changed = {}
        return packed

    @classmethod
    def unpack(cls, fields: Mapping[bytes, bytes], sizes: Mapping[str, int]) -> "JudgingState":
        """Read a checkpoint's fields; `sizes` is the number of cells of every version that `versions_of` names."""
        state = cls()
        panes: dict[str, list[WindowPane]] = defaultdict(list)
        for name, packed in fields.items():
            kind, _, rest = name.partition(b":")
            if kind == b"state":
                state.progress = msgspec.json.decode(packed, type=Progress)
            elif kind == b"alert":
                alert = msgspec.json.decode(packed, type=AlertState)
                state.alerts[alert.fingerprint] = alert
            elif kind == b"pane":
                panes[rest.decode().split(":")[0]].append(msgspec.msgpack.decode(packed, type=WindowPane))
        for version, found in panes.items():
            state.windows[version] = VersionWindow.of(sizes[version], found)
        return state


def versions_of(fields: Mapping[bytes, bytes]) -> set[str]:
    """Give the versions that a checkpoint's panes belong to."""
    return {name.decode().split(":")[1] for name in fields if name.startswith(b"pane:")}
