"""References that the API asks a worker to make: the API has the registry, the worker the panes and
their statistics.

The API puts what it asks for into a list of the model; whichever worker takes it out makes the
reference and puts it, or why it cannot be made, where the API waits for it. Only then does the API
store and publish it. So a worker that dies, or an API that does, leaves everything as it was, and
the request may be made again. Pure.
"""

from typing import Annotated, Final

import msgspec

ANSWER_KEPT_S: Final = 600
"""How long an answer waits for an API that may have gone."""
ASKED_KEPT_S: Final = 600
"""How long a request waits for a worker; the API gives up sooner."""


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reference of a version is to be made of its latest panes.

    Parameters
    ----------
    id
        Names the key of the answer.
    window_ms
        How far back from the model's logical time.
    """

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    version: str
    window_ms: Annotated[int, msgspec.Meta(gt=0, lt=2**53)]


class Answer(msgspec.Struct, frozen=True):
    """The reference, packed; or what is wrong.

    Examples
    --------
    >>> decode_answer(encode(Answer(fault="too few rows")))
    Answer(reference=b'', fault='too few rows')
    """

    reference: bytes = b""
    fault: str = ""


encode = msgspec.msgpack.Encoder().encode
decode_asked = msgspec.msgpack.Decoder(Asked).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
