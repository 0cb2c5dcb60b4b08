"""The process that registers an upload: `driftgauge models register`, within bounds of its own.

A registration reads a whole table, loads a model file and makes a profile: seconds of a core and
some memory, of which the process that answers predictions spends none. Whatever the files do to
that process, the API goes on. It stores a version whole or not at all, so it may be killed at any
time.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.registering.upload import Upload
from driftgauge.shared.confinement import OUT_OF_MEMORY, memory_for
from driftgauge.shared.errors import AlreadyThere, BadData, NotInstalled
from driftgauge.shared.registration.fields import options_of
from driftgauge.shared.settings import Settings

LONGEST_S: Final = 1800
"""Longest time of a registration, in seconds."""
NEEDED: Final = frozenset(
    f"DRIFTGAUGE_{name}"
    for name in (
        "REGISTRY_DIR",
        "REGISTRY_URL",
        "PII_KEY",
        "MIN_REFERENCE_ROWS",
        "MIN_WINDOW_ROWS",
        "WINDOW_DAYS",
        "FALSE_ALARMS_PER_MONTH",
    )
)
"""The settings that a registration reads; the others hold secrets that it does not need."""
CHILD: Final = """
import os, sys
from driftgauge.shared.confinement import OUT_OF_MEMORY, confine, is_out_of_memory
from driftgauge.shared.local.processes import end_with_parent
if sys.platform == "linux":
    end_with_parent()
confine(int(sys.argv[1]), int(sys.argv[2]))
del sys.argv[1:3]
from driftgauge.__main__ import main
try:
    main()
except Exception as error:
    if is_out_of_memory(error):
        os._exit(OUT_OF_MEMORY)
    raise
"""
STATUS: Final = {
    AlreadyThere.exit_code: 409,
    BadData.exit_code: 422,
    2: 422,  # an option that cannot be used
    NotInstalled.exit_code: 501,
}
"""HTTP status of each exit code of the command."""
SAID: Final = ("driftgauge: ", "Error: ")
"""How the command's line on its error begins."""

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
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        str(memory),
        str(LONGEST_S),
        "models",
        "register",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(upload, settings),
        pass_fds=(upload.lock,),  # held until the child ends, even if this process is killed
    )
    try:
        told, complaint = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode == 0:
        found: dict[str, Any] = msgspec.json.decode(told)
        return found
    raise _problem(upload, child.returncode, complaint.decode(errors="replace"), memory)


def _arguments(upload: Upload) -> Iterator[str]:
    for name, path in upload.files.items():
        yield f"--{name}={path}"
    yield from options_of({"git_revision": [""], **upload.fields})


def _environment(upload: Upload, settings: Settings) -> dict[str, str]:
    """Return our environment with the settings that are needed; a data folder of its own, where no
    deployment is found; and one thread, since the others are the API's.
    """
    from driftgauge.shared.local.deployment import environment  # loads an HTTP client

    others = {
        name: value for name, value in os.environ.items() if not name.startswith("DRIFTGAUGE_")
    }
    located = settings.model_copy(update={"registry_dir": settings.registry_dir.absolute()})
    needed = {name: value for name, value in environment(located).items() if name in NEEDED}
    own = {"DRIFTGAUGE_DATA_DIR": str(upload.folder), "PYTHONUNBUFFERED": "1"}
    return others | needed | own | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _problem(upload: Upload, code: int | None, complaint: str, memory: int) -> Problem:
    """Say why a registration failed; a fault of ours is in the log."""
    if code == OUT_OF_MEMORY:
        return Problem(
            413, f"The registration took more than {memory >> 20:,} MiB of memory; send fewer rows."
        )
    if code == -signal.SIGALRM:
        return Problem(
            413, f"The registration took more than {LONGEST_S} s; send fewer rows or columns."
        )
    if code is not None and code < 0:
        what = signal.Signals(-code).name
        return Problem(422, f"The process that read the upload was ended by {what}.")
    status = STATUS.get(code or 0)
    at = max(complaint.rfind(begin) for begin in SAID)
    if status is None or at < 0:
        logger.error("A registration ended with exit code %s: %s", code, complaint[-2000:])
        return Problem(500, "The registration failed by a fault that is not yours; see the log.")
    said = complaint[at:].partition(": ")[2].strip()
    return Problem(status, upload.named(said))
