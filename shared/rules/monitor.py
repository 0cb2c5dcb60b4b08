"""Rules of the watchdog: the monitor is blind. They depend on the clock, so a replay of the log
does not raise them; producer/watching/blind.py evaluates them.
"""

from typing import Final

from driftgauge.shared.rules.base import Rule, declare

BLIND: Final = declare(Rule("blind.*", "monitor", "clock", "the monitor is blind"))
