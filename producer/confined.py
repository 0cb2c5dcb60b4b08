"""A command of ours in a process of its own, within bounds of memory and time: whatever somebody's
files or text do to that process, the API goes on.
"""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from driftgauge.shared.confinement import OUT_OF_MEMORY
from driftgauge.shared.settings import Settings

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
BLOCK: Final = 1 << 16
"""Bytes of output that are taken at once."""
SAID: Final = re.compile(r"^(?:driftgauge|Error): ", re.MULTILINE)
"""How the command's line on its error begins; a traceback's names the class of the error."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Parameters
    ----------
    code
        Its exit code; negative for a signal.
    output, complaint
        What it printed, and its messages.
    """

    code: int | None
    output: bytes
    complaint: str

    @property
    def lacked_memory(self) -> bool:
        """Whether it would have taken more memory than it may."""
        return self.code == OUT_OF_MEMORY

    @property
    def lacked_time(self) -> bool:
        """Whether it would have taken longer than it may."""
        return self.code == -signal.SIGALRM

    @property
    def error(self) -> str:
        r"""The sentence on its error; empty if it has told none.

        >>> Ended(65, b"", "a file is gone\ndriftgauge: No row is left.\n").error
        'No row is left.'
        """
        *_, said = ("", *SAID.split(self.complaint)[1:])
        return said.strip()


async def run(
    arguments: Sequence[str],
    memory: int,
    seconds: int,
    environment: Mapping[str, str],
    held: Collection[int] = (),
) -> Ended:
    """Run `driftgauge ARGUMENTS`, and end it if this task is cancelled.

    Parameters
    ----------
    memory
        Most bytes of its address space.
    seconds
        Longest time that it may take.
    held
        File descriptors that it keeps open until it ends, even if this process is killed.
    """
    child = await _begun(arguments, memory, seconds, environment, held)
    try:
        output, complaint = await child.communicate()
    finally:
        await _end(child)
    return Ended(child.returncode, output, complaint.decode(errors="replace"))


async def stream(
    arguments: Sequence[str], memory: int, seconds: int, environment: Mapping[str, str]
) -> AsyncGenerator[bytes | Ended, None]:
    """Run `driftgauge ARGUMENTS`, and yield its output while it runs, and at last how it ended. It
    waits for who takes the output, and ends if nobody does.

    The parameters are those of `run`.
    """
    child = await _begun(arguments, memory, seconds, environment, ())
    assert child.stdout is not None  # noqa: S101  both are pipes
    assert child.stderr is not None  # noqa: S101
    complaint = asyncio.create_task(_last(child.stderr))
    try:
        while block := await child.stdout.read(BLOCK):
            yield block
        code = await child.wait()
        yield Ended(code, b"", (await complaint).decode(errors="replace"))
    finally:
        await _end(child)
        complaint.cancel()


async def _begun(
    arguments: Sequence[str],
    memory: int,
    seconds: int,
    environment: Mapping[str, str],
    held: Collection[int],
) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        str(memory),
        str(seconds),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        pass_fds=tuple(held),
    )


async def _end(child: Process) -> None:
    if child.returncode is None:
        child.kill()
        await child.wait()


async def _last(messages: asyncio.StreamReader) -> bytes:
    """Read messages to their end; return the last of them."""
    kept = b""
    while block := await messages.read(BLOCK):
        kept = (kept + block)[-BLOCK:]
    return kept


def environment_with(settings: Settings, needed: Collection[str], folder: Path) -> dict[str, str]:
    """Return our environment for a command: of our settings those that it needs, since others hold
    secrets; a data folder of its own, where no deployment is found; and one thread, since the
    others are the API's.

    Parameters
    ----------
    needed
        Names of settings, without `DRIFTGAUGE_`.
    """
    from driftgauge.shared.local.deployment import environment  # loads an HTTP client

    others = {
        name: value for name, value in os.environ.items() if not name.startswith("DRIFTGAUGE_")
    }
    located = settings.model_copy(update={"registry_dir": settings.registry_dir.absolute()})
    names = {f"DRIFTGAUGE_{name}" for name in needed}
    given = {name: value for name, value in environment(located).items() if name in names}
    own = {"DRIFTGAUGE_DATA_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
    return others | given | own | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
