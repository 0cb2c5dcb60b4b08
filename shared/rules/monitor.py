"""Rules of the watchdog: the monitor does not see. They go by the clock, so a replay of the log
does not raise them; how each is read stands in producer/watching/blind.py.
"""

from typing import Final

from driftgauge.shared.rules.base import Rule, declare

BLIND: Final = declare(Rule("blind.*", "monitor", "clock", "the monitor is blind"))
