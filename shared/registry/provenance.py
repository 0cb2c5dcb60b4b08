"""Where a model comes from: the digest of a file, the git revision, the versions of the
libraries.
"""

import hashlib
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

LIBRARIES: Final = ("joblib", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy")
"""Those that a fitted model here depends on."""


OURS: Final = ("builtins", "models", "shared")
"""Packages of classes that no library is needed for."""


def file_digest(path: Path) -> str:
    """Give the SHA-256 (hex) of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_revision(folder: Path | None = None) -> str:
    """Give the commit of a folder, with `-dirty` if files had changed; empty outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git here: unknown
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def library_versions(estimator: Any = None) -> dict[str, str]:
    """Give the versions of Python, of the usual libraries, and of the one that a fitted model's
    class is from.
    """
    own = type(estimator).__module__.partition(".")[0]
    names = {
        *LIBRARIES,
        *(_distributions().get(own, ()) if own not in OURS else ()),
    }
    found = {"python": platform.python_version()}
    for name in sorted(names):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # not installed, so the model does not need it
            continue
    return found


@cache
def _distributions() -> dict[str, list[str]]:
    """Return package to distributions: once, since it reads the file lists of all that is
    installed.
    """
    return dict(metadata.packages_distributions())
