"""GET /publishers/{name}: which numbers of a publisher have arrived, so that a client, or one that
reads a file, goes on where it stopped. POST /publishers/{name}/gaps: numbers that will never come.

A publisher is a client that numbers what it sends (producer/intake/numbering.py).
"""

from typing import Annotated, Any, Final

import msgspec
import redis
from fastapi import APIRouter, Path, Request, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.describing.declared import answers, takes
from driftgauge.producer.describing.schemas import Named
from driftgauge.producer.http.problems import RETRY_AFTER, Problem, invalid
from driftgauge.producer.intake.documents import decode, field_faults, read_body
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.intake.numbering import (
    PARAMETERS,
    check_name,
    spans_fault,
    voids_of,
)
from driftgauge.producer.parts import Parts
from driftgauge.producer.publishing.receipts import Outcome
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.raw_body import MISNUMBERED
from driftgauge.shared.contract.counters import CLIENT, PUBLISHER, PackedPublisher
from driftgauge.shared.reference.schema import FieldError
from driftgauge.shared.unpacking import UNREADABLE

MOST_GAPS: Final = 1000
MOST_BYTES: Final = 1 << 20
PATH: Final = "/publishers/{name}"
Name = Annotated[str, Path(description="Name of the publisher.")]
MODEL: Final = PARAMETERS[0]
PARTITIONS: Final = PARAMETERS[2]
GAPS: Final = Named(
    "Gaps",
    {
        "type": "object",
        "required": ["gaps"],
        "additionalProperties": False,
        "properties": {
            "gaps": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_GAPS,
                "description": "Partition, first and last number of each run that will never come.",
                "items": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "minItems": 3,
                    "maxItems": 3,
                },
            }
        },
    },
)


class SeenNumbers(msgspec.Struct, frozen=True):
    """Which numbers of a publisher have arrived.

    Parameters
    ----------
    partitions
        Partitions of the model.
    seen
        Of each partition the numbers that were counted or declared void: first and last number of
        each run, in order.
    """

    model: str
    partitions: int
    seen: list[list[list[int]]]


class GapsAnswer(msgspec.Struct, frozen=True):
    """What became of what was declared: it is in Redis, on disk, or in memory."""

    event: Outcome


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["predictions"])

    @routes.get(PATH)
    @needs("predict", "label", "read")
    @takes(None, MODEL)
    @answers(SeenNumbers, "What has arrived.")
    async def get_publisher(request: Request, name: Name) -> Response:
        """Tell which numbers of a publisher have arrived in each partition, and how many partitions
        its model has. What is on its way, in a spool or not yet counted, is not told.
        """
        check_name(name)
        served = parts.serving.choose(request.query_params.get("model"))
        manifest = served.manifest
        keys = parts.keys.salted(manifest.salts)
        field = PUBLISHER + CLIENT + name.encode()
        runs = [
            await _runs(parts, keys.count(served.model, place), field)
            for place in range(manifest.partitions)
        ]
        return answer(SeenNumbers(served.model, manifest.partitions, runs))

    @routes.post(f"{PATH}/gaps")
    @needs("predict", "label")
    @takes(GAPS, ENCODING, MODEL, PARTITIONS)
    @answers(GapsAnswer, "It is noted, or on its way.", status=202, others={409: MISNUMBERED})
    async def declare_gaps(request: Request, name: Name) -> Response:
        """Declare numbers that will never come, since their publisher has given up what had them:
        they are not missed.
        """
        asked = {**request.query_params, "publisher": name}
        numbering = parts.clients.numbering(asked)
        assert numbering is not None  # noqa: S101  a publisher is named
        document, flaw = decode(await read_body(request, MOST_BYTES))
        faults = field_faults(document, {"gaps": _is_anything}, "gaps")
        found = document.get("gaps") if isinstance(document, dict) else None
        fault = spans_fault(found, numbering.partitions, MOST_GAPS)
        if fault is not None and not faults:
            faults.append(FieldError("/gaps", fault))
        if faults or flaw is not None:
            raise invalid(faults) if faults else flaw or Problem(400, "The body is not JSON.")
        outcome = await parts.publisher.publish_numbered(
            numbering.model, numbering.publisher, voids_of(document["gaps"])
        )
        if outcome == "dropped":
            raise Problem(503, "The queue for Redis is full; send it again later.", (), RETRY_AFTER)
        return answer(GapsAnswer(outcome), 202)

    return routes


async def _runs(parts: Parts, key: str, field: bytes) -> list[list[int]]:
    """Read the numbers of a publisher from a checkpoint."""
    try:
        packed: Any = await parts.reader.hget(key, field)
    except (redis.RedisError, OSError) as error:
        raise Problem(503, f"Redis does not answer: {error}.", (), RETRY_AFTER) from error
    try:
        return msgspec.msgpack.decode(packed, type=PackedPublisher).bounds if packed else []
    except UNREADABLE:  # nobody's work but a stranger's; what is sent again is dropped there
        return []


def _is_anything(_: object) -> None:
    """The gaps are checked by themselves."""
