"""The process that registers an upload: `driftgauge models register`, within bounds of its own.

A registration reads a whole table, loads a model file and makes a profile: seconds of a core and
some memory, of which the process that answers predictions spends none. Whatever the files do to
that process, the API goes on. It stores a version whole or not at all, so it may be killed at any
time.
"""

import logging
import signal
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from driftgauge.producer.confined import Ended, environment_with, run
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.registering.upload import Upload
from driftgauge.shared.confinement import memory_for
from driftgauge.shared.errors import AlreadyThere, BadData, NotInstalled
from driftgauge.shared.registration.fields import options_of
from driftgauge.shared.settings import Settings

LONGEST_S: Final = 1800
"""Longest time of a registration, in seconds."""
NEEDED: Final = (
    "REGISTRY_DIR",
    "REGISTRY_URL",
    "PII_KEY",
    "MIN_REFERENCE_ROWS",
    "MIN_WINDOW_ROWS",
    "WINDOW_DAYS",
    "FALSE_ALARMS_PER_MONTH",
)
"""The settings that a registration reads."""
STATUS: Final = {
    AlreadyThere.exit_code: 409,
    BadData.exit_code: 422,
    2: 422,  # an option that cannot be used
    NotInstalled.exit_code: 501,
}
"""HTTP status of each exit code of the command."""
logger = logging.getLogger("driftgauge.producer")


async def register(upload: Upload, model: str, actor: str, settings: Settings) -> dict[str, Any]:
    """Register an upload, and return what the command prints.

    Raises
    ------
    Problem
        409 if there is such a version, 413 if it takes too much memory or time, 422 if it cannot
        be used, 501 if a package is missing; nothing was stored then.
    """
    memory = memory_for(upload.size)
    arguments = [model, *_arguments(upload), f"--actor={actor}", "--json"]
    ended = await run(
        ["models", "register", *arguments],
        memory,
        LONGEST_S,
        environment_with(settings, NEEDED, upload.folder),
        held=(upload.lock,),
    )
    if ended.code == 0:
        found: dict[str, Any] = msgspec.json.decode(ended.output)
        return found
    raise _problem(upload, ended, memory)


def _arguments(upload: Upload) -> Iterator[str]:
    for name, path in upload.files.items():
        yield f"--{name}={path}"
    yield from options_of({"git_revision": [""], **upload.fields})


def _problem(upload: Upload, ended: Ended, memory: int) -> Problem:
    """Say why a registration failed; a fault of ours is in the log."""
    if ended.lacked_memory:
        return Problem(
            413, f"The registration took more than {memory >> 20:,} MiB of memory; send fewer rows."
        )
    if ended.lacked_time:
        return Problem(
            413, f"The registration took more than {LONGEST_S} s; send fewer rows or columns."
        )
    if ended.code is not None and ended.code < 0:
        what = signal.Signals(-ended.code).name
        return Problem(422, f"The process that read the upload was ended by {what}.")
    status = STATUS.get(ended.code or 0)
    if status is None or not ended.error:
        logger.error(
            "A registration ended with exit code %s: %s", ended.code, ended.complaint[-2000:]
        )
        return Problem(500, "The registration failed by a fault that is not yours; see the log.")
    return Problem(status, upload.named(ended.error))
