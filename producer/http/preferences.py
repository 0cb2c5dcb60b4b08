"""The header Prefer of a request (RFC 7240)."""

from collections.abc import Mapping
from typing import Final, Literal

APPLIED: Final = "Preference-Applied"

Handling = Literal["strict", "lenient"]


def handling(headers: Mapping[str, str]) -> Handling | None:
    """Return the preferred handling of a request with bad parts; None without a preference.

    Examples
    --------
    >>> handling({"prefer": "respond-async, Handling=Strict; a=b"})
    'strict'
    """
    for preference in headers.get("prefer", "").split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "handling":
            wanted = value.strip().strip('"').lower()
            if wanted == "strict":
                return "strict"
            if wanted == "lenient":
                return "lenient"
    return None
