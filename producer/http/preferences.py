"""What a client prefers of an answer: the header Prefer (RFC 7240)."""

from collections.abc import Mapping
from typing import Final, Literal

APPLIED: Final = "Preference-Applied"

Handling = Literal["strict", "lenient"]


def handling(headers: Mapping[str, str]) -> Handling | None:
    """Return how a request with bad parts is to be handled; None if nothing is asked.

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
