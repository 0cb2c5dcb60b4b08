"""Limits that people set on a published metric, in the policy file."""

from typing import Final

from driftgauge.shared.rules.base import Rule, declare

THRESHOLD: Final = declare(Rule("threshold.*", "limit", "limit", "limit"))
