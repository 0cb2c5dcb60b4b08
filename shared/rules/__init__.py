"""The table of rules, one row each, one file for each family; every file here is found. Pure.

`base` defines a row. The computation of a rule is in `consumer/judging/rules`, in a detector, or in
the watchdog.
"""

import pkgutil
from importlib import import_module

from driftgauge.shared.rules.base import RULES, Rule, is_operational, rule_of

__all__ = ["RULES", "Rule", "is_operational", "learn", "rule_of"]


def learn() -> None:
    """Import every file of this folder, so that its rules are registered."""
    for found in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{found.name}")


learn()
