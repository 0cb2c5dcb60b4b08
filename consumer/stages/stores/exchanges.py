"""The waiting requests and responses in Redis: read for the halves of a batch in one round trip,
written in the commit of the counts.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import redis
from redis.client import Pipeline

from driftgauge.consumer.counting.exchanges.waiting import MET, SPAN_MS, SPANS_KEPT, Exchanges, Kept
from driftgauge.consumer.stages.stores.pending import EXPIRE_BEHIND_S
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.unpacking import UNREADABLE

log = logging.getLogger("driftgauge.worker")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


class ExchangeStore:
    """The hashes of one partition.

    Parameters
    ----------
    client
        Redis client of the counting stage.
    keys
        Key names with the model's salts.
    """

    def __init__(self, client: redis.Redis, keys: Keys, model: str, partition: int) -> None:
        self._client = client
        self._key = partial(keys.exchanges, model, partition)

    def keys_between(self, first_ms: int, now_ms: int) -> list[str]:
        """Return the hashes that halves between two times may look into."""
        first, now = first_ms // SPAN_MS - SPANS_KEPT, now_ms // SPAN_MS
        return [self._key(span) for span in range(max(0, first), now + 2)]

    def fetch(self, exchanges: Exchanges, digests: Sequence[bytes]) -> None:
        """Load the committed halves that the halves of a batch name."""
        exchanges.found = {}
        if not digests or not exchanges.spans:
            return
        wanted = list(dict.fromkeys(digests))
        pipe = self._client.pipeline(transaction=False)
        for span in exchanges.spans:
            pipe.hmget(self._key(span), wanted)
        replies: list[list[bytes | None]] = pipe.execute()
        exchanges.found = {
            span: {
                digest: self._read(span, packed)
                for digest, packed in zip(wanted, reply, strict=True)
                if packed is not None
            }
            for span, reply in zip(exchanges.spans, replies, strict=True)
        }

    def queue(self, exchanges: Exchanges, pipe: Pipeline) -> None:
        """Queue the changes since the last commit."""
        for span, kept in exchanges.changes.items():
            fields: dict[Any, Any] = {digest: _encode(one) for digest, one in kept.items()}
            pipe.hset(self._key(span), mapping=fields)
            pipe.expire(self._key(span), EXPIRE_BEHIND_S)
        for span in exchanges.gone:
            pipe.unlink(self._key(span))
        exchanges.written()

    def _read(self, span: int, packed: bytes) -> Kept:
        """Read a half; one that cannot be read counts as one that met the other."""
        try:
            return _decode(packed)
        except UNREADABLE as error:
            log.error(  # noqa: TRY400  it says all
                "%s holds what Driftgauge did not write (%s): it is passed over.",
                self._key(span),
                error,
            )
            return MET
