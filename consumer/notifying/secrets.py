"""Reading the secrets of a target: from the environment, or from a file."""

import os
from pathlib import Path
from typing import Final

from driftgauge.consumer.notifying.choices import Choice
from driftgauge.shared.errors import ConfigurationError

MOST_BYTES: Final = 65_536
"""Largest file of a secret."""


class Missing(ConfigurationError):
    """A secret that is not where the policy file says.

    Parameters
    ----------
    field
        The field of the target that says where, such as `secret_env`.
    reason
        What is wrong, as the rest of a sentence.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"A target {reason}.")
        self.field = field
        self.reason = reason


def secret_of(choice: Choice, name: str) -> str:
    """Return the value of a field that is a secret; empty if the policy file names none.

    Parameters
    ----------
    name
        First part of the field's name: `url`, `secret`, ….

    Raises
    ------
    Missing
        If the variable or file that is named is not there, or is empty.
    """
    direct = getattr(choice, name, "")
    if direct:
        return str(direct)
    variable: str = getattr(choice, f"{name}_env", "")
    if variable:
        found = os.environ.get(variable, "").strip()
        if not found:
            raise Missing(f"{name}_env", f"names the environment variable {variable}, which is "
                          "not set")  # fmt: skip
        return found
    path: str = getattr(choice, f"{name}_file", "")
    return _read(path, f"{name}_file") if path else ""


def secrets_of(choice: Choice) -> tuple[str, ...]:
    """Return all secrets of a target as they are now; Missing if one is not there."""
    return tuple(secret_of(choice, name) for name in (*choice.needs, *choice.may_have))


def _read(path: str, field: str) -> str:
    try:
        with Path(path).open("rb") as file:
            found = file.read(MOST_BYTES).decode().strip()
    except OSError as error:
        raise Missing(field, f"names the file {path}, which cannot be read "
                      f"({error.strerror})") from error  # fmt: skip
    except ValueError as error:
        raise Missing(field, f"names the file {path}, which is no UTF-8 text") from error
    if not found:
        raise Missing(field, f"names the file {path}, which is empty")
    return found
