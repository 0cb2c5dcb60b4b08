"""What a command shows on stderr while it works on many columns: a line that changes on a terminal,
else one now and then, and none if it is done soon.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.text import Text

from driftgauge.shared.steps import At

EVERY_S: Final = 10.0
"""Time (s) between two lines where there is no terminal, and before the first."""
AT_ONCE_S: Final = 0.1
"""Time (s) between two changes of the line on a terminal."""


@contextmanager
def waiting(
    words: str, console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[At]:
    """Show what is being done; the function that it gives is told of each step.

    Parameters
    ----------
    words
        What the command does.
    console
        Where to; stderr by default.
    clock
        Seconds.
    """
    shown = console or Console(stderr=True)
    pause = AT_ONCE_S if shown.is_terminal else EVERY_S
    last = clock()
    with shown.status(Text(words)) as status:

        def at(what: str, step: int, of: int) -> None:
            nonlocal last
            if clock() - last < pause:
                return
            last = clock()
            told = Text(f"{words}: {what}, column {step:,} of {of:,}")
            if shown.is_terminal:
                status.update(told)
            else:
                shown.print(told)

        yield at
