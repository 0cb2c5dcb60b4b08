"""Position of a subscriber in the alert streams: the id of a server-sent event. Pure.

For one model it is the stream entry's id; for all models an opaque vector of them.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64

import msgspec

from driftgauge.producer.http.problems import Problem
from driftgauge.shared.contract.entry_id import is_entry_id
from driftgauge.shared.contract.keys import MODEL_NAME

Positions = dict[str, str]
"""Model to the id of the last entry that was seen."""


def write_vector(positions: Positions) -> str:
    """Write the positions in all models as an opaque id.

    Examples
    --------
    >>> read_vector(write_vector({"steel": "5-0"}))
    {'steel': '5-0'}
    """
    return urlsafe_b64encode(msgspec.json.encode(positions, order="sorted")).rstrip(b"=").decode()


def read_vector(text: str) -> Positions:
    """Read the positions that `write_vector` wrote.

    Raises
    ------
    Problem
        400 if it is malformed.
    """
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        positions = msgspec.json.decode(raw, type=dict[str, str])
    except (NotBase64, ValueError):  # msgspec's and Unicode's errors are ValueErrors
        raise malformed() from None
    if not all(
        MODEL_NAME.fullmatch(model) and is_entry_id(entry) for model, entry in positions.items()
    ):
        raise malformed()
    return positions


def malformed() -> Problem:
    return Problem(
        400, "Last-Event-ID is not an id that this stream sent; leave it out to follow from now on."
    )
