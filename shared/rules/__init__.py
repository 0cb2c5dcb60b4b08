"""The table of rules: what each is, in one row; a family is a file, found by its place. Pure.

`base` says what a row holds. How a rule is computed stands where it is judged: in
`consumer/judging/rules`, in the detectors, or in the watchdog.
"""

import pkgutil
from importlib import import_module

from driftgauge.shared.rules.base import RULES, Rule, is_operational, rule_of

__all__ = ["RULES", "Rule", "is_operational", "learn", "rule_of"]


def learn() -> None:
    """Import every file of this room, so that its rules are registered."""
    for found in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{found.name}")


learn()
