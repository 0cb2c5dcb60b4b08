"""Limits that people set on a published metric, in the policy file."""

from typing import Final

from driftgauge.shared.rules.base import Rule, declare

THRESHOLD: Final = declare(
    Rule(
        "threshold.*",
        "limit",
        "limit",
        title="",
        plain="Limit exceeded",
        meaning="A published number is beyond the limit that somebody set for it.",
        members={
            "latency_p99_ms": "Response time",
            "failed_share": "Failed predictions",
            "events_per_day": "Traffic",
        },
    )
)
