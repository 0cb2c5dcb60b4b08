"""Semantic versions: which texts are one, and their order (semver.org 2.0.0, section 11).

Pure. Build metadata (`+…`) is refused: two versions that differ in it alone would have no order.
`packaging` cannot stand in: it follows PEP 440, which refuses `1.0.0-fix-login` and reads `1.0.0-1`
as a version after 1.0.0.
"""

import re
from collections.abc import Collection
from typing import Final

_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION: Final = re.compile(
    r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})"
    rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
)
MAX_LENGTH: Final = 64
"""Longest version, since it names a folder."""

Precedence = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def is_version(text: str) -> bool:
    """Tell whether a text is a semantic version without build metadata.

    Examples
    --------
    >>> [is_version(text) for text in ("1.0.0", "1.0.0-rc.1")]
    [True, True]
    >>> [is_version(text) for text in ("1.0", "01.0.0", "1.0.0-01", "1.0.0+linux")]
    [False, False, False, False]
    """
    return len(text) <= MAX_LENGTH and _VERSION.fullmatch(text) is not None


def precedence(version: str) -> Precedence:
    """Return the key by which versions are ordered.

    Raises
    ------
    ValueError
        If the text is no version.

    Examples
    --------
    >>> sorted(["1.0.0", "1.0.0-rc.11", "1.0.0-rc.2", "1.0.0-rc", "0.10.0"], key=precedence)
    ['0.10.0', '1.0.0-rc', '1.0.0-rc.2', '1.0.0-rc.11', '1.0.0']
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        raise ValueError(f"{version!r} is no semantic version.")
    major, minor, patch, before = found.groups()
    identifiers = before.split(".") if before else []
    ranked = tuple(
        (not name.isdecimal(), int(name) if name.isdecimal() else 0, name) for name in identifiers
    )
    return int(major), int(minor), int(patch), before is None, ranked


def following(versions: Collection[str]) -> str:
    """Return the version to suggest after these: the release of a pre-release, else the next major
    number.

    Examples
    --------
    >>> following([]), following(["1.0.0", "1.2.0"]), following(["2.0.0-rc.1", "1.0.0"])
    ('1.0.0', '2.0.0', '2.0.0')
    """
    if not versions:
        return "1.0.0"
    newest = max(versions, key=precedence)
    release, _, before = newest.partition("-")
    return release if before else f"{int(release.split('.')[0]) + 1}.0.0"
