"""Rules of the watchdog: the monitor is blind. They depend on the clock, so a replay of the log
does not raise them; producer/watching/blind.py evaluates them.
"""

from functools import partial
from typing import Final

from driftgauge.shared.rules.base import Rule, declare

_row = partial(Rule, kind="monitor", against="clock")

LOST: Final = declare(
    _row(
        "blind.lost",
        title="gaps in the numbering",
        plain="Events lost",
        meaning="Numbers that a publisher gave to its events never arrived: those events are not "
        "counted.",
        until_acknowledged=True,
    )
)
ROLLED_BACK: Final = declare(
    _row(
        "blind.rolled_back",
        title="older state",
        plain="Redis went back",
        meaning="Redis holds an older state than it did: what came after it is not counted.",
        until_acknowledged=True,
    )
)
BLIND: Final = declare(
    _row(
        "blind.*",
        title="",
        plain="Monitor blind",
        meaning="The monitor itself does not see what happens to the model, or not all of it.",
        members={
            "stage_fails": "Worker fails",
            "no_worker": "No worker",
            "lag": "Worker too slow",
            "model_hangs": "Model hangs",
            "evicts": "Redis may evict",
            "dropped": "Events dropped",
            "refused": "Events refused",
            "labels_refused": "Labels refused",
            "dead_letters": "Unreadable events",
            "silent": "No events",
            "labels_stopped": "No labels",
            "labels_full": "Labels without room",
            "unpaired": "Answers without requests",
            "archive": "Archive behind",
            "notification": "People not told",
        },
    )
)
