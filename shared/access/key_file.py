"""The keys file: who may use the API, with which scopes. The command line writes it, the API reads
it each second.

    {"session_secret": "…", "keys": [{"id": "3f9a…", "name": "shop", "digest": "…", "scopes":
    ["predict"], …}]}

A key is `dg_ID_SECRET`: the id is public and finds the entry, the secret has 256 random bits. The
file holds the SHA-256 of the whole key. A slow password hash would be wrong here: it makes guessing
costly where secrets are guessable, and 256 random bits are not; it would only make each request
slow. The file also holds the secret that signs the browsers' sessions, so that every API process
that shares the file accepts them. It is replaced as a whole under a lock, so a reader sees the old
one or the new one.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec
from filelock import FileLock

from driftgauge.shared.errors import BadData, ConfigurationError
from driftgauge.shared.regular_files import SMALL, check_size, open_regular

KeyScope = Literal["predict", "label", "read", "admin"]
SCOPES: Final[tuple[KeyScope, ...]] = get_args(KeyScope)
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PREFIX: Final = "dg_"
ID_CHARACTERS: Final = 8
SECRET_BYTES: Final = 32
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
FORBIDDEN_BITS: Final = 0o027
"""Permission bits that the file must not have: any for others, and write for the group. The group
may read it, as containers need.
"""


class Key(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key as the file holds it.

    Parameters
    ----------
    id
        Public part of the key.
    digest
        SHA-256 of the whole key, hexadecimal.
    expires
        Time at which the key expires; None if it never does.
    """

    id: str
    name: str
    digest: str
    scopes: tuple[KeyScope, ...]
    created: Moment
    expires: Moment | None = None

    def allows(self, scope: KeyScope) -> bool:
        """Tell whether it has a scope; admin has all."""
        return scope in self.scopes or "admin" in self.scopes

    def expired(self) -> bool:
        """Tell whether the key has expired."""
        return self.expires is not None and datetime.now(UTC) >= self.expires


class KeyFile(msgspec.Struct, frozen=True):
    """The content of the file."""

    session_secret: str
    keys: tuple[Key, ...] = ()


def read_keys(path: Path) -> KeyFile | None:
    """Read the file; None if there is none.

    Raises
    ------
    ConfigurationError
        If it cannot be read, is no keys file, or others may read it.
    """
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123  a descriptor, not a path
            status = os.fstat(file.fileno())
            check_size(path, status.st_size, SMALL)
            mode, content = status.st_mode, file.read(SMALL)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(
            f"The keys file {path} cannot be read: {error.strerror}."
        ) from error
    if mode & FORBIDDEN_BITS:
        raise ConfigurationError(
            f"The keys file {path} has the permissions {mode & 0o777:03o}, so that others on this "
            f"machine can read or "
            f"change it. Say `chmod 600 {path}`; if others had access, make new keys."
        )
    try:
        return _sound(msgspec.json.decode(content, type=KeyFile))
    # a message names the place, never the content
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"The keys file {path} is damaged ({error}). Restore it, or move it away and make new "
            f"keys with "
            "`driftgauge keys create`."
        ) from error


def _sound(content: KeyFile) -> KeyFile:
    """Refuse content that decodes but cannot protect anything, such as a short secret."""
    if len(bytes.fromhex(content.session_secret)) < SECRET_BYTES:
        raise ValueError("the session secret is too short")
    for key in content.keys:
        if len(bytes.fromhex(key.digest)) != hashlib.sha256().digest_size:
            raise ValueError(f"the digest of {key.name!r} is no SHA-256")
    return content


def create_key(
    path: Path, name: str, scopes: tuple[KeyScope, ...], expires: datetime | None
) -> str:
    """Add a key to the file, which is made if there is none. Return the key, which is stored
    nowhere.

    Raises
    ------
    BadData
        If the name is malformed or in use.
    """
    if not NAME.fullmatch(name):
        raise BadData(f"{name!r} is no name of a key: use 1 to 64 letters, digits, dots, - and _.")
    public = secrets.token_hex(ID_CHARACTERS // 2)
    text = f"{PREFIX}{public}_{secrets.token_urlsafe(SECRET_BYTES)}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    key = Key(public, name, digest, scopes, datetime.now(UTC).replace(microsecond=0), expires)

    def added(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        if any(other.name == name for other in keys):
            raise BadData(
                f"There is a key {name!r} already. Revoke it first, or choose another name."
            )
        return (*keys, key)

    _change(path, added)
    return text


def revoke_key(path: Path, name: str) -> Key:
    """Remove a key from the file.

    Raises
    ------
    BadData
        If there is none of that name.
    """
    removed: list[Key] = []

    def without(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        removed.extend(key for key in keys if key.name == name)
        if not removed:
            known = ", ".join(key.name for key in keys) or "none"
            raise BadData(f"There is no key {name!r} in {path}. The keys are: {known}.")
        return tuple(key for key in keys if key.name != name)

    _change(path, without)
    return removed[0]


def _change(path: Path, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        content = read_keys(path) or KeyFile(secrets.token_hex(SECRET_BYTES))
        content = msgspec.structs.replace(content, keys=change(content.keys))
        _replace(path, msgspec.json.format(msgspec.json.encode(content), indent=2))


def _replace(path: Path, content: bytes) -> None:
    """Write the file so that it never exists in part or with other permissions."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)  # of a process that was killed: the lock is ours
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


class KeySet:
    """The keys of the file as it was last read, for look-up by requests."""

    def __init__(self, content: KeyFile) -> None:
        self.session_secret = bytes.fromhex(content.session_secret)
        self._keys = {key.id.encode(): (bytes.fromhex(key.digest), key) for key in content.keys}

    def find(self, presented: bytes) -> Key | None:
        """Return the key that a client presents; the comparison takes as long for a wrong one as
        for the right one.
        """
        public = presented[len(PREFIX) : len(PREFIX) + ID_CHARACTERS]
        digest, key = self._keys.get(public, (bytes(hashlib.sha256().digest_size), None))
        return key if hmac.compare_digest(hashlib.sha256(presented).digest(), digest) else None

    def named(self, public: str) -> Key | None:
        """Return a key by its public part."""
        return self._keys.get(public.encode(), (b"", None))[1]
