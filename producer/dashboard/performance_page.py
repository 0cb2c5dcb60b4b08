"""What the template of the performance page is given: how right a version is, and in which segments."""

from typing import Any

from producer.dashboard.drift_page import OTHER_RELEASE, names_of
from producer.dashboard.overview import current_windows
from producer.parts import Parts
from producer.problems import Problem


async def performance_shown(parts: Parts, model: str, version: str | None) -> dict[str, Any]:
    """Read what the page shows.

    Raises
    ------
    Problem
        404 if no window of the version is kept.
    """
    windows = (await current_windows(parts, [model]))[model]
    readable = [window for window in windows if window is not None]
    now = next((one for one in readable if version in {None, "", one.version}), None)
    if now is None and readable:
        raise Problem(404, f"No window of {model} {(version or '')[:64]} is kept; versions with one: {names_of(readable)}.")
    return {
        "snapshot": now,
        "fault": OTHER_RELEASE if windows and not readable else "",
        "models": sorted({*await parts.pipeline.models(), *parts.serving.production}),
        "versions": [one.version for one in readable],
        "asked_version": version,
    }
