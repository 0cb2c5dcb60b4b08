"""The trial of a model file: it is first loaded, and first predicts, in a process of its own.

A file can end the process that loads it: LightGBM's text with a wrong number of leaves divides by
zero, one with a wrong child reads memory that is not its own, and either can ask for all memory or
for ever. That process is a child here, with bounded memory and time (trial_child.py), so that
registration can refuse the file, and the API goes on with the version that it has.

A file that has passed is tried no more: its checksum is noted in the registry folder, together with
the versions of the libraries, since another release may do something else. Where the folder cannot
be written, this process remembers it.
"""

import hashlib
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from driftgauge.shared.artifacts import formats
from driftgauge.shared.confinement import LEAST_MEMORY, OUT_OF_MEMORY, memory_for
from driftgauge.shared.contract.events import Value
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.provenance import library_versions
from driftgauge.shared.storage.storage import Storage

CHILD: Final = Path(__file__).with_name("trial_child.py")
FOLDER: Final = ".tried"
"""Folder in the registry with a file for each file that has passed."""
TIME_S: Final = 60.0
PATIENCE_S: Final = 5
"""Seconds after which a child ends by itself that its parent should have ended."""
BYTES_A_SECOND: Final = 10 << 20
"""Speed at which a file is loaded at least."""
AGAIN_S: Final = 600.0
"""Seconds after which a file that has not passed is tried again."""

_passed: set[str] = set()
_failed: dict[str, tuple[float, str]] = {}


class Tried(msgspec.Struct, frozen=True):
    """What a child tries.

    Parameters
    ----------
    name
        Name of the model file in its version folder, which tells its format.
    task, classes
        As of the manifest and the schema; a joblib file knows its own.
    schema, rows
        Schema of the version, and rows to predict; None and none, if there is no schema yet: then
        made-up numbers alone are predicted.
    memory, seconds
        Bytes of address space, and the time after which the child ends by itself if nobody ends it.
    """

    content: bytes
    name: str
    task: str
    classes: tuple[str, ...] = ()
    schema: Schema | None = None
    rows: Sequence[Sequence[Value]] = ()
    memory: int = LEAST_MEMORY
    seconds: int = int(TIME_S)


def require(storage: Storage, content: bytes, tried: Callable[[], Tried]) -> None:
    """Try a model file, unless one with its checksum has passed here before.

    Parameters
    ----------
    storage
        Where the registry's files are, and what has passed is noted.
    tried
        Makes what is tried; called only if it is.

    Raises
    ------
    BadData
        If the child did not end by itself in time, within its memory. It is not tried again for
        some minutes.
    """
    key = _key(content)
    if _has_passed(storage, key):
        return
    failed = _failed.get(key)
    if failed is not None and time.monotonic() - failed[0] < AGAIN_S:
        raise BadData(failed[1])
    try:
        attempt(tried())
    except BadData as error:
        _failed[key] = time.monotonic(), str(error)
        raise
    note(storage, content)


def try_out(storage: Storage, tried: Tried) -> None:
    """Try a model file that is not registered yet, unless it has passed before; nothing is noted,
    since it has not predicted its reference.

    Raises
    ------
    BadData
        As `require`.
    """
    if not _has_passed(storage, _key(tried.content)):
        attempt(tried)


def _has_passed(storage: Storage, key: str) -> bool:
    return key in _passed or storage.is_file(f"{FOLDER}/{key}")


def note(storage: Storage, content: bytes) -> None:
    """Note that a model file has passed."""
    key = _key(content)
    _passed.add(key)
    with suppress(OSError):  # a folder that cannot be written: remembered above
        storage.change(f"{FOLDER}/{key}", lambda _: b"")


def attempt(tried: Tried) -> None:
    """Load a model file and let it predict, in a process of its own.

    What the model raises there is no matter here: it raises it again where it is called.

    Raises
    ------
    BadData
        If the process was ended, took too long, or too much memory.
    """
    size = len(tried.content)
    time_s = TIME_S + size / BYTES_A_SECOND
    tried = msgspec.structs.replace(
        tried, memory=memory_for(size), seconds=int(time_s) + PATIENCE_S
    )
    try:
        done = subprocess.run(
            [sys.executable, str(CHILD)],
            input=msgspec.msgpack.encode(tried),
            stdout=subprocess.DEVNULL,  # a model may print its rows, or without end
            stderr=subprocess.DEVNULL,
            timeout=time_s,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _refusal(f"took more than {time_s:.0f} s") from None
    if done.returncode == OUT_OF_MEMORY:
        raise _refusal(f"took more than {tried.memory >> 20:,} MiB of memory")
    if done.returncode < 0:
        raise _refusal(f"was ended by {_signal(-done.returncode)}")
    if done.returncode:
        raise _refusal(f"ended with exit code {done.returncode}")


def _refusal(what: str) -> BadData:
    return BadData(
        f"The model file is not loaded: a process of its own that loaded it and made a first "
        f"prediction {what}. Train the model again, and register that as a new version."
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _environment() -> dict[str, str]:
    """Return our environment without the settings, which hold secrets; one thread will do."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTGAUGE_")}
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return kept | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _key(content: bytes) -> str:
    """Name a file by its checksum and by what loads it."""
    loaders = (library for one in formats() for library in one.libraries)
    with_what: Any = sorted(
        {**library_versions(more=loaders), "machine": platform.machine()}.items()
    )
    libraries = hashlib.sha256(repr(with_what).encode()).hexdigest()[:16]
    return f"{hashlib.sha256(content).hexdigest()}-{libraries}"
