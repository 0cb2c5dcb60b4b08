"""The references of a version as the API shows them: the one in use, and every change, newest
first.
"""

from typing import Any, Final

import msgspec

from driftgauge.shared.reference.accepted import AcceptedReference
from driftgauge.shared.reference.history import ReferenceChange
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry

MOST_CHANGES: Final = 50


def reference_history(registry: ModelRegistry, model: str, version: str) -> dict[str, Any]:
    """Return the reference in use and the latest changes; what was accepted with its rows, times
    (Unix ms) and resolution.

    Raises
    ------
    ModelNotFound
        If there is no such version.
    BadData
        If the history is damaged.
    """
    store = ReferenceStore(registry, model, version)
    history = store.history()
    accepted = {change.number for change in history.changes[-MOST_CHANGES:] if change.number}
    made = {number: store.load(number) for number in sorted(accepted)}
    changes = [
        described(change, made.get(change.number))
        for change in history.changes[: -MOST_CHANGES - 1 : -1]
    ]
    return {"model": model, "version": version, "reference": history.number, "changes": changes}


def described(change: ReferenceChange, made: AcceptedReference | None) -> dict[str, Any]:
    """Describe a change, and the reference that it leads to; reference 0 was made from training
    data.

    Examples
    --------
    >>> described(ReferenceChange("1.0.0", 2, 0, "ann", "too early", undo=True), None)["undo"]
    True
    """
    found: dict[str, Any] = {"undo": change.undo, **msgspec.to_builtins(change)}
    if made is not None:
        found |= {
            "rows": made.profile.rows,
            "start": made.start,
            "end": made.end,
            "resolution": made.resolution,
        }
    return found
