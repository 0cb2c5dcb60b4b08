"""The rule about logged requests and answers that stay without their other half."""

from typing import Final

from driftgauge.producer.watching.observation import Assessment, Memory, Observation, last_hour

LEAST: Final = 10
LEAST_SHARE: Final = 0.01
"""Halves of an hour that may stay alone: so many, or this share of those that met."""


def unpaired(memory: Memory, observed: Observation) -> Assessment:
    """Judge the halves of about the last hour that waited in vain, or found no room to wait."""
    counts = [partition.counters.exchanges for partition in observed.state.partitions]
    unanswered, unasked = sum(one.unanswered for one in counts), sum(one.unasked for one in counts)
    full = sum(one.full for one in counts)
    memory.alone, alone = last_hour(memory.alone, observed, unanswered + unasked + full)
    memory.paired, paired = last_hour(memory.paired, observed, sum(one.paired for one in counts))
    limit = max(LEAST, LEAST_SHARE * paired)
    if alone <= limit:
        return Assessment(
            bad=False if alone <= limit / 2 else None,
            value=alone,
            limit=limit,
            summary="Requests and answers find each other again.",
        )
    why = (
        "Predictions that fail are logged without an answer; else the logger drops what it cannot "
        "send in time, or the two halves have different ids."
        if not full
        else f"{full:,} in all found no room to wait."
    )
    summary = (
        f"{alone:,} logged requests or answers of the last hour stayed without their other half "
        f"and are not counted, and {paired:,} pairs are. {why} So far {unanswered:,} requests had "
        f"no answer and {unasked:,} answers no request."
    )
    return Assessment(bad=True, value=alone, limit=limit, summary=summary)
