"""A step that takes seconds: said when it begins, and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text


@contextmanager
def step(console: Console, words: str) -> Iterator[None]:
    """Say that something is going on: by a spinner on a terminal, else by a line before it.

    Parameters
    ----------
    words
        What is done, such as `Training the steel model`.
    """
    started = time.monotonic()
    if console.is_terminal:
        with console.status(Text(f"{words} …")):
            yield
        console.print(Text(f"{words} … {time.monotonic() - started:.1f} s"))
    else:
        console.print(Text(f"{words} …"))
        yield
