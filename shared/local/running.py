"""The file by which a deployment is found: where its API, Redis and registry are.

`driftgauge up` and `demo` leave it in the data folder while they run, for their user only. Whoever
reads it checks that the process that wrote it still runs, by its id and the moment at which it
started: a file that a crash left behind, or that came with somebody's folder, leads nowhere.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.local.processes import started_at
from driftgauge.shared.settings import Settings

FILE: Final = "deployment.json"
LOCK: Final = "deployment.lock"
SHARED: Final = (
    "key_prefix",
    "registry_dir",
    "registry_url",
    "reports_dir",
    "policy_file",
    "public_url",
)
"""Settings of a deployment that the other commands need, besides the addresses and `keys_file`."""
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  not bound to
"""Addresses that a server listens on, and where this machine reaches it."""


class RunningDeployment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a deployment is, and which process keeps it.

    Parameters
    ----------
    command
        Command that started it: `up` or `demo`.
    pid, started
        Id of its process, and when that started, as the system writes it.
    data_dir
        Its own data folder; the demo's is a temporary one.
    api
        Address of the API.
    redis_url
        Address of Redis, without a password; None until it is known.
    settings
        Settings of `SHARED` that are set, and `keys_file`, as text; paths are absolute.
    """

    command: str
    pid: int
    started: str
    data_dir: str
    api: str
    redis_url: str | None = None
    settings: dict[str, str] = {}

    @classmethod
    def of(cls, settings: Settings, command: str) -> "RunningDeployment":
        """Describe a deployment that this process keeps."""
        paths = {"keys_file": settings.keys_path}
        given = {name: getattr(settings, name) for name in SHARED} | paths
        shared = {
            name: str(value.absolute() if isinstance(value, Path) else value)
            for name, value in given.items()
            if value is not None
        }
        return cls(
            command=command,
            pid=os.getpid(),
            started=started_at(os.getpid()) or "",
            data_dir=str(settings.data_dir.absolute()),
            api=api_address(settings),
            redis_url=settings.redis_url and without_password(settings.redis_url),
            settings=shared,
        )

    @property
    def alive(self) -> bool:
        """Whether its process still runs, and is no other one with the same id."""
        return bool(self.started) and started_at(self.pid) == self.started


def api_address(settings: Settings) -> str:
    """Return the address at which this machine reaches an API with these settings.

    Examples
    --------
    >>> api_address(Settings(host="0.0.0.0", port=8001))
    'http://127.0.0.1:8001'
    """
    host = EVERYWHERE.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def without_password(url: str) -> str:
    """Return an address of Redis without its password, wherever it stands.

    Examples
    --------
    >>> without_password("rediss://ann:secret@cache:6379/0?ssl_ca_certs=ca.pem&password=secret")
    'rediss://ann@cache:6379/0?ssl_ca_certs=ca.pem'
    >>> without_password("unix:///run/redis.sock")
    'unix:///run/redis.sock'
    """
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    kept = [pair for pair in parse_qsl(parts.query) if "password" not in pair[0]]
    query = f"?{urlencode(kept, safe='/:')}" if kept else ""
    return f"{parts.scheme}://{f'{name}{at}' if name else ''}{place}{parts.path}{query}"


def read_running(data_dir: Path) -> RunningDeployment | None:
    """Read the file of a data folder; None if there is none, or none that this release wrote.

    A file that belongs to another user is none either: it could lead the API key elsewhere.
    """
    path = data_dir / FILE
    try:
        if path.stat().st_uid != os.getuid():
            return None
        return msgspec.json.decode(path.read_bytes(), type=RunningDeployment)
    except (OSError, msgspec.MsgspecError):
        return None


def claim(data_dir: Path, mine: RunningDeployment) -> RunningDeployment | None:
    """Write the file of a data folder, at once and for its user only, unless another deployment
    that runs has one there: that one is returned, and nothing is written.

    Raises
    ------
    ConfigurationError
        If the folder cannot be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        return _claim(data_dir, mine)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {data_dir.absolute()} cannot be written ({error.strerror}). Set "
            f"DRIFTGAUGE_DATA_DIR to one that can."
        ) from error


def _claim(data_dir: Path, mine: RunningDeployment) -> RunningDeployment | None:
    with _locked(data_dir):
        there = read_running(data_dir)
        if there is not None and there.alive and not _same(there, mine):
            return there
        part = data_dir / f".{FILE}.{os.getpid()}"
        part.touch(mode=0o600)
        part.write_bytes(msgspec.json.encode(mine))
        part.replace(data_dir / FILE)
    return None


def release(data_dir: Path, mine: RunningDeployment) -> None:
    """Remove the file of a data folder, if it is still that of this deployment."""
    if not data_dir.is_dir():  # somebody deleted it, and the file with it
        return
    with _locked(data_dir):
        there = read_running(data_dir)
        if there is not None and _same(there, mine):
            (data_dir / FILE).unlink(missing_ok=True)


@contextmanager
def beside(data_dir: Path, mine: RunningDeployment) -> Iterator[RunningDeployment | None]:
    """Announce a deployment in another data folder than its own too, unless another one has it:
    that one is returned.
    """
    other = claim(data_dir, mine)
    try:
        yield other
    finally:
        if other is None:
            release(data_dir, mine)


def taken(other: RunningDeployment) -> ConfigurationError:
    """Return the error that a folder's private Redis, spool and logs have a user already."""
    return ConfigurationError(
        f"Driftgauge already runs in {other.data_dir}: `driftgauge {other.command}`, process "
        f"{other.pid}, with its API at {other.api}. Stop it, or set DRIFTGAUGE_DATA_DIR to another "
        f"folder for a second deployment."
    )


def _same(one: RunningDeployment, other: RunningDeployment) -> bool:
    def whose(each: RunningDeployment) -> tuple[object, ...]:
        return each.pid, each.started, each.data_dir, each.api

    return whose(one) == whose(other)


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Let one process at a time read and write the file; the kernel frees the lock of one that
    dies.
    """
    with (data_dir / LOCK).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
