"""Checks of the machine: Python, files, folders, disk, port and keys file."""

import os
import platform
import resource
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

from driftgauge.producer.diagnosis.check import Check, note, ok, wrong
from driftgauge.shared.access.key_file import read_keys
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.local.finding import Found
from driftgauge.shared.settings import Settings

LEAST_PYTHON: Final = (3, 11)
LEAST_FILES: Final = 1024
"""Open files that a process should be allowed: a connection is one, and the API has hundreds."""
LEAST_FREE: Final = 1 << 30
"""Free space (bytes) below which a disk is nearly full."""


def machine_checks(found: Found) -> Iterator[Check]:
    """Look at this machine, whatever runs on it."""
    yield _python()
    yield _files()
    settings = found.settings
    folders = {
        "data folder": settings.data_dir,
        "reports folder": settings.reports_dir,
    }
    if settings.registry_url is None:
        folders["registry"] = settings.registry_dir
    for name, folder in folders.items():
        yield _writable(name, folder)
    yield _disk(settings.data_dir)
    yield _keys(settings)
    if settings.policy_file is not None:
        yield _policy_file(settings.policy_file)


def port_check(found: Found) -> Check:
    """Look whether the port is free for an API, where none answers."""
    settings, name = found.settings, "port"
    if found.deployment is not None or settings.api_url is not None:
        return ok(name, f"the API is expected at {found.api_url}")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return wrong(
                name,
                f"{settings.host}:{settings.port} cannot be used ({error.strerror})",
                "Another program may have it. `driftgauge up` takes the next free one; for "
                "`driftgauge serve` set DRIFTGAUGE_PORT.",
            )
    return ok(name, f"{settings.host}:{settings.port} is free")


def _python() -> Check:
    said = f"Python {platform.python_version()}, driftgauge {version('driftgauge')}"
    if sys.version_info < LEAST_PYTHON:
        least = ".".join(map(str, LEAST_PYTHON))
        return wrong("Python", said, f"Install it with Python {least} or newer.")
    return ok("Python", said)


def _files() -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
        return wrong(
            "open files",
            f"a process may open {soft} files and connections",
            "Say `ulimit -n 4096` in the shell that starts Driftgauge.",
        )
    many = "any number of" if soft == resource.RLIM_INFINITY else f"{soft:,}"
    return ok("open files", f"a process may open {many} files and connections")


def _writable(name: str, folder: Path) -> Check:
    folder = folder.absolute()
    there = _existing(folder)
    if folder.exists() and not folder.is_dir():
        return wrong(name, f"{folder} is no folder", "Move the file away, or name another folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        setting = {"data folder": "DATA", "registry": "REGISTRY", "reports folder": "REPORTS"}[name]
        return wrong(
            name,
            f"{folder} cannot be written by this user",
            f"Give it to this user, or set DRIFTGAUGE_{setting}_DIR to another folder.",
        )
    return ok(name, str(folder) if folder.exists() else f"{folder} will be made")


def _disk(folder: Path) -> Check:
    there = _existing(folder.absolute())
    free = shutil.disk_usage(there).free
    said = f"{free / (1 << 30):,.1f} GiB are free at {there}"
    if free < LEAST_FREE:
        return wrong(
            "disk",
            said,
            "Make room: Redis and the API write here, and stop taking events when it is full.",
        )
    return ok("disk", said)


def _keys(settings: Settings) -> Check:
    name, path = "keys file", settings.keys_path.absolute()
    try:
        content = read_keys(path)
    except ConfigurationError as error:
        return wrong(name, f"{path} cannot be used", str(error))
    if content is None:
        return ok(name, f"{path} is absent: the API needs no keys, and listens on loopback only")
    good = [key for key in content.keys if not key.expired()]
    if not good:
        return wrong(
            name,
            f"{path} has no key that is still good: nobody can use the API",
            "Make one: `driftgauge keys create NAME --scope admin`.",
        )
    return ok(name, f"{path}: {len(good)} keys")


def _policy_file(path: Path) -> Check:
    if path.is_file():
        return ok("policy file", str(path.absolute()))
    return wrong(
        "policy file", f"{path.absolute()} is absent", "Write it, or unset DRIFTGAUGE_POLICY_FILE."
    )


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def deployment_check(found: Found) -> Check:
    """Say which deployment the commands talk to in this folder."""
    folder = found.settings.data_dir.absolute()
    if found.deployment is not None:
        one = found.deployment
        return ok("deployment", f"`driftgauge {one.command}`, process {one.pid}, of {one.data_dir}")
    if found.gone is not None:
        return wrong(
            "deployment",
            f"that of {folder} ended without a word: its process {found.gone.pid} is gone",
            "Start it again with `driftgauge up`; what was counted is kept.",
        )
    return note("deployment", f"none runs in {folder}", "`driftgauge up` starts one.")
