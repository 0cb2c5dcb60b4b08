"""Events that counting could not use, as rows for the archive. Pure."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from driftgauge.shared.archive.rows import Refused
from driftgauge.shared.contract.events import NEW_REFERENCE, UNUSABLE, WRITTEN
from driftgauge.shared.unpacking import UNREADABLE

TEXT_BYTES: Final = 16 << 10
"""Most bytes of an event's content that are kept."""
NAME_LENGTH: Final = 128
"""Longest id, version and name of a publisher."""
PUBLISHED: Final = {kind: struct.__name__.lower() for struct, kind in WRITTEN.items()}
"""Kinds of entries that publishers write: personal fields are hashed in these or not there."""
OTHERS: Final = {NEW_REFERENCE: "reference", UNUSABLE: "message"}


class _Named(msgspec.Struct):
    """What a content says of itself, whatever it is."""

    id: Any = None
    version: Any = None


_decode = msgspec.json.Decoder(_Named).decode


def refused_of(fields: Sequence[bytes], reason: str) -> Refused:
    """Return the row of an entry that was refused.

    The content of an entry that no publisher of ours wrote, as a message of another log, is not
    kept: no rule of a schema has removed what is personal.

    Parameters
    ----------
    fields
        The entry's fields: name, value, name, value, …

    Examples
    --------
    >>> row = refused_of([b"t", b"p", b"p", b"api", b"s", b"7", b"e", b'{"id":"a"}'], "why")
    >>> row.id, row.kind, row.reason, row.text, row.publisher
    ('a', 'prediction', 'why', '{"id":"a"}', 'api')
    >>> refused_of([b"t", b"d", b"e", b'{"id":"a","name":"Ann"}'], "it has no features").text
    """
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    kind, content = values.get(b"t", b""), values.get(b"e", b"")
    try:
        named = _decode(content)
    except UNREADABLE:
        named = _Named()
    return Refused(
        _name(named.id),
        _name(named.version),
        PUBLISHED.get(kind) or OTHERS.get(kind, "unknown"),
        reason,
        content[:TEXT_BYTES].decode(errors="replace") if kind in PUBLISHED else None,
        len(content),
        _name(values[b"p"].decode(errors="replace")) if b"p" in values else None,
    )


def _name(found: object) -> str | None:
    return found if isinstance(found, str) and 0 < len(found) <= NAME_LENGTH else None
