"""The keys that a process holds in memory: those of the keys file, which is read again each second.

Without a file the API is open, which is allowed on loopback only. Once a process has read a file,
it never opens again: if the file is deleted no key is valid, and if it is damaged the last keys
stay in force, which /readyz reports.
"""

import logging
import secrets
from pathlib import Path

from driftgauge.shared.access.key_file import SECRET_BYTES, KeyFile, KeySet, read_keys
from driftgauge.shared.errors import ConfigurationError

POLL_S = 1.0

logger = logging.getLogger("driftgauge.access")


class KeyRing:
    """The keys in force.

    Attributes
    ----------
    held
        The keys in force; None while the API is open.
    fault
        Why the file as it is now is not in force; empty if it is.

    Parameters
    ----------
    required
        Whether there must be a file, since somebody named it.

    Raises
    ------
    ConfigurationError
        If there is a file that cannot be used, or none where there must be one.
    """

    def __init__(self, path: Path, *, required: bool = False) -> None:
        self.held: KeySet | None = None
        self.fault = ""
        self._path = path
        self._seen: object = None
        self._load()
        if required and self.held is None:
            raise ConfigurationError(
                f"The keys file {path} (DRIFTGAUGE_KEYS_FILE) is not there, and without keys "
                f"everybody may do everything. Make it with `driftgauge keys create NAME --scope "
                f"SCOPE`, or unset DRIFTGAUGE_KEYS_FILE for an API without keys."
            )

    def refresh(self) -> None:
        """Take what is new in the file into force."""
        try:
            self._load()
        except ConfigurationError as error:  # the keys that were read last stay in force
            self._report(f"{error} The keys that were read before stay in force.")

    def _load(self) -> None:
        seen = self._signature()
        if seen == self._seen:
            return
        content = read_keys(self._path)
        if content is not None:
            self.held = KeySet(content)
            self._report("")
            logger.info("Requests need a key: %d in %s.", len(content.keys), self._path)
        elif self.held is not None:
            self.held = KeySet(KeyFile(secrets.token_hex(SECRET_BYTES)))
            self._report(
                f"The keys file {self._path} is gone, so nobody has a key. Restore it, or make new "
                f"keys."
            )
        self._seen = seen

    def _signature(self) -> object:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:  # read_keys says what it is
            return error.errno
        return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def _report(self, fault: str) -> None:
        if fault and fault != self.fault:
            logger.error("%s", fault)
        self.fault = fault
