"""The tree of errors that a user can meet. A message says what was wrong, where, and what to do
next.

DriftgaugeError                 70  a fault of ours (EX_SOFTWARE)
├── BadData                     65  a file, schema or request that cannot be used (EX_DATAERR)
│   └── AlreadyThere            73  a version that was registered, or purged, before (EX_CANTCREAT)
├── GateFailed                   1  a version that did not pass its gates, so it is not promoted
├── ModelNotFound               66  a model, version or model file that is not there (EX_NOINPUT)
├── RedisUnavailable            69  the configured Redis does not answer (EX_UNAVAILABLE)
├── ServiceUnavailable          69  the API does not answer
├── ConfigurationError          78  a setting that cannot be used (EX_CONFIG)
│   ├── NotInstalled            78  a package that this installation does not have
│   └── PolicyRefused           78  a policy file that cannot be used, and at which line
└── OwnershipLost               75  another worker took over, or it is unknown whether a commit
                                    succeeded: load the checkpoint again
"""


class DriftgaugeError(Exception):
    """Base of all errors that carry a message for a user and an exit code of sysexits.h."""

    exit_code = 70


class BadData(DriftgaugeError):
    """A file, schema or request that cannot be used; nothing was done with it."""

    exit_code = 65


class AlreadyThere(BadData):
    """A version of this number was registered, or purged, before; versions never change."""

    exit_code = 73


class ModelNotFound(DriftgaugeError):
    """A model, version or model file that is not where it was looked for."""

    exit_code = 66


class RedisUnavailable(DriftgaugeError):
    """The configured Redis does not answer."""

    exit_code = 69


class ServiceUnavailable(DriftgaugeError):
    """The API does not answer."""

    exit_code = 69


class OwnershipLost(DriftgaugeError):
    """Another worker owns the lease, or it is unknown whether a commit succeeded.

    The stage has to load its checkpoint again before it goes on.
    """

    exit_code = 75


class ConfigurationError(DriftgaugeError):
    """A setting that cannot be used."""

    exit_code = 78


class NotInstalled(ConfigurationError, ImportError):
    """A package that this installation does not have; the message holds the pip line that brings
    it.

    It is an ImportError too, for those who try an import and go on without.
    """


class PolicyRefused(ConfigurationError):
    """A policy file that cannot be used.

    Attributes
    ----------
    line
        The line that is wrong, from 1; 0 if the file cannot be read.
    reason
        Why, without a full stop.
    """

    def __init__(self, name: str, line: int, reason: str) -> None:
        where = f", line {line}" if line else ""
        super().__init__(f"The policy file {name} cannot be used{where}: {reason}.")
        self.line = line
        self.reason = reason
