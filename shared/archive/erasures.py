"""The record of what was erased of a model, without a value of it. It is begun before anything is
erased, so nothing is erased without it:

    _state/MODEL/erasures.json
"""

import time

import msgspec

from driftgauge.shared.archive.store import Store


class Record(msgspec.Struct, frozen=True):
    """An erasure.

    Parameters
    ----------
    at
        When it began (Unix ms).
    reason, chosen_by
        Why, and what chose the rows: `ids`, a condition or texts.
    gone
        How much was erased, by what held it; None if it did not come to its end.
    """

    at: int
    reason: str
    chosen_by: str
    gone: dict[str, int] | None = None


_decode = msgspec.json.Decoder(list[Record]).decode


def begin(store: Store, model: str, reason: str, chosen_by: str) -> Record:
    """Write down that an erasure begins; the two texts must name no value."""
    record = Record(int(time.time() * 1000), reason, chosen_by)
    store.change(
        _path(model), lambda packed: msgspec.json.encode([*_decode(packed or b"[]"), record])
    )
    return record


def finish(store: Store, model: str, record: Record, gone: dict[str, int]) -> None:
    """Write down how much an erasure has erased."""
    done = msgspec.structs.replace(record, gone=gone)

    def changed(packed: bytes | None) -> bytes:
        return msgspec.json.encode(
            [done if one == record else one for one in _decode(packed or b"[]")]
        )

    store.change(_path(model), changed)


def records(store: Store, model: str) -> list[Record]:
    """Return the erasures of a model."""
    try:
        return _decode(store.read(_path(model)))
    except FileNotFoundError:
        return []


def _path(model: str) -> str:
    return f"_state/{model}/erasures.json"
