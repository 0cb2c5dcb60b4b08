"""Requests of the API to a worker for a new reference: the API has the registry, the worker the
panes and their statistics.

The API appends a request to a list of the model. The worker that takes it out makes the reference
and writes it, or the fault, to the key that the API waits on. Only then does the API store and
publish it. So if a worker or an API process dies, nothing has changed, and the request can be
repeated. Pure.
"""

from typing import Annotated, Final

import msgspec

ANSWER_KEPT_S: Final = 600
"""Time (s) that an answer is kept for an API process that may have ended."""
REQUEST_KEPT_S: Final = 600
"""Time (s) that a request is kept for a worker; the API gives up earlier."""


class ReferenceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Request for a reference of a version's latest panes.

    Parameters
    ----------
    id
        Id of the request, which is part of the answer's key.
    window_ms
        Length (ms) of the window, which ends at the model's logical time.
    """

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    version: str
    window_ms: Annotated[int, msgspec.Meta(gt=0, lt=2**53)]


class Answer(msgspec.Struct, frozen=True):
    """Answer to a request: the packed reference, or the fault.

    Examples
    --------
    >>> decode_answer(encode(Answer(fault="too few rows")))
    Answer(reference=b'', fault='too few rows')
    """

    reference: bytes = b""
    fault: str = ""


encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(ReferenceRequest).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
