"""The rule about an archive that does not keep up. Pure."""

from typing import Final

from driftgauge.producer.watching.observation import Assessment, Memory, Observation, last_hour

LATE_SHARE: Final = 0.1
"""Share of the time for which the log waits for the archive, after which it is behind."""


def behind(memory: Memory, observed: Observation) -> Assessment:
    """Judge the age of the oldest counted entry that waits to be archived, and the predictions of
    about the last hour that left the log before they were. An archive that no worker writes was
    switched off, or `blind.no_worker` says it; what fails is told by `blind.stage_fails`.
    """
    found = [one.archiving for one in observed.state.partitions if one.archiving is not None]
    missing = sum(one.missing for one in found)
    memory.unarchived, gone = last_hour(memory.unarchived, observed, missing)
    bound_s = observed.settings.archive_lag_hours * 3600
    limit = observed.settings.archive_seconds + LATE_SHARE * bound_s
    ages = (
        observed.since(one.oldest_ms) / 1000
        for one in found
        if one.owned and one.oldest_ms is not None
    )
    age = max(ages, default=0.0)
    if gone:
        summary = (
            f"{gone:,} predictions of the last hour left the log before they could be archived, "
            f"{missing:,} in all: the archive lacks them. They are counted."
        )
        return Assessment(bad=True, value=gone, summary=summary)
    if age > limit:
        summary = (
            f"The archive is {age / 3600:.1f} hours behind. The log waits for it for "
            f"{bound_s / 3600:g} hours, or as long as Redis has room; then the archive will lack "
            "what leaves the log. Is its store slow? Counting goes on."
        )
        return Assessment(bad=True, value=age, limit=limit, summary=summary)
    settled = age <= limit / 2
    return Assessment(
        bad=False if settled else None,
        value=age,
        limit=limit,
        summary="The archive keeps up again.",
    )
