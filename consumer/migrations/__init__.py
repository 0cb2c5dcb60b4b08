"""Checkpoints of earlier formats, and how each becomes one of the next format: a file a step.

A *step* is a function of the kind of a checkpoint and its fields to those of the next format. It is
applied to a checkpoint that is owned, in one commit: when a worker loads it, or by `driftgauge
migrate`. A release reads every format that has a step, and writes the newest one only. Pure.
"""

from collections.abc import Callable, Mapping
from typing import Final

from driftgauge.consumer.migrations.from_2 import add_checksum
from driftgauge.shared.contract.keys import FORMAT

Step = Callable[[str, Mapping[bytes, bytes]], dict[bytes, bytes]]
"""A function of the last part of a checkpoint's key, such as `count` or `judge`, and its fields,
without format, commit number and checksum.
"""
STEPS: Final[dict[bytes, Step]] = {b"2": add_checksum}
"""The step from each earlier format to the next one."""


def migrated(kind: str, form: bytes, fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the fields of a checkpoint in the newest format.

    Raises
    ------
    KeyError
        If there is no step from its format.

    Examples
    --------
    >>> migrated("count", b"2", {b"offset": b"7-0"})
    {b'offset': b'7-0'}
    """
    found = dict(fields)
    while form != FORMAT:
        found = STEPS[form](kind, found)
        form = str(int(form) + 1).encode()
    return found
