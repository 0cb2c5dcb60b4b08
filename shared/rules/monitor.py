"""Rules of the watchdog: the monitor is blind. They depend on the clock, so a replay of the log
does not raise them; producer/watching/blind.py evaluates them.
"""

from typing import Final

from driftgauge.shared.rules.base import Rule, declare

LOST: Final = declare(
    Rule("blind.lost", "monitor", "clock", "lost events", until_acknowledged=True)
)
ROLLED_BACK: Final = declare(
    Rule("blind.rolled_back", "monitor", "clock", "Redis went back", until_acknowledged=True)
)
BLIND: Final = declare(Rule("blind.*", "monitor", "clock", "the monitor is blind"))
