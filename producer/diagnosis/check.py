"""One thing that was looked at, what was found, and what to do about it."""

from typing import Literal

import msgspec

State = Literal["ok", "note", "wrong"]
"""`note` is worth knowing and needs no action; `wrong` needs one."""


class Check(msgspec.Struct, frozen=True):
    """One thing that `driftgauge doctor` looked at.

    Parameters
    ----------
    name
        What was looked at, such as `Redis persistence`.
    found
        What was found, in words.
    advice
        What to do next, in a sentence; empty if all is well.
    """

    name: str
    state: State
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name, "ok", found)


def note(name: str, found: str, advice: str = "") -> Check:
    """Return a check that found something worth knowing."""
    return Check(name, "note", found, advice)


def wrong(name: str, found: str, advice: str) -> Check:
    """Return a check that found something to be mended."""
    return Check(name, "wrong", found, advice)
