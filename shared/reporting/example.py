"""A snapshot without findings, by which the functions of this room show what they make."""

from typing import Final

from driftgauge.shared.contract.snapshot import Snapshot, Window

EXAMPLE: Final = Snapshot(
    id="1",
    model="steel",
    version="v1",
    trigger="schedule",
    created=1_714_557_600_000,
    severity="ok",
    verdict="No drift.",
    window=Window(start=0, end=1_800_000, rows=900, panes=6, events=5000),
    reference_rows=8000,
    features=[],
    prediction=None,
    alerts=[],
    events_per_day=43_200.0,
)
