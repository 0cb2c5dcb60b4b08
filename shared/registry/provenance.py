"""The origin of a model: digest of its data file, git revision, versions of the libraries."""

import hashlib
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

LIBRARIES: Final = ("joblib", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy")
"""The libraries that a fitted model usually depends on."""
OURS: Final = ("builtins", "driftgauge")
"""Packages whose version is not recorded: every installation has them."""


def file_digest(path: Path) -> str:
    """Compute the SHA-256 (hex) of a file without reading it into memory as a whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_revision(folder: Path | None = None) -> str:
    """Return the git commit of a folder, with `-dirty` if files have changed.

    It is empty outside of a git repository, or without git.

    Parameters
    ----------
    folder
        The folder; None is the current one.
    """
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git here: unknown
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def library_versions(estimator: Any = None, more: Iterable[str] = ()) -> dict[str, str]:
    """Return name to version of Python, the usual libraries, and the library of a model's class.

    Libraries that are not installed are left out.

    Parameters
    ----------
    estimator
        A fitted model.
    more
        Further libraries.
    """
    own = type(estimator).__module__.partition(".")[0]
    names = {
        *LIBRARIES,
        *more,
        *(_distributions().get(own, ()) if own not in OURS else ()),
    }
    found = {"python": platform.python_version()}
    for name in sorted(names):
        installed = _version(name)
        if installed is not None:  # the model does not need the others
            found[name] = installed
    return found


@cache
def _version(name: str) -> str | None:
    """Return the version of a library, None if it is not installed: read once, since it takes a ms,
    and what a process has loaded stays.
    """
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def _distributions() -> dict[str, list[str]]:
    """Return package to distributions: once, since it reads the file lists of all that is
    installed.
    """
    return dict(metadata.packages_distributions())
