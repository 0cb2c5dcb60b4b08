"""Entry ids: one reading of them for everybody, in the order that Redis gives them."""

import redis
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.contract.entry_id import EntryId, exclusive, is_entry_id, times_of
from driftgauge.shared.contract.keys import Keys

NUMBERS = st.integers(0, 2**64 - 1)
IDS = st.builds(EntryId, NUMBERS, NUMBERS)


@given(IDS, IDS)
def test_ids_come_back_as_they_were_written_and_compare_as_numbers(
    one: EntryId, other: EntryId
) -> None:
    """Whatever Redis can write is read back, and 10-0 comes after 9-0."""
    assert EntryId.parse(str(one)) == EntryId.parse(str(one).encode()) == one
    assert is_entry_id(str(one))
    assert (one < other) == ((one.ms, one.sequence) < (other.ms, other.sequence))


@given(st.text(max_size=30))
def test_a_text_that_is_taken_for_an_id_is_one(text: str) -> None:
    """What a client sends reaches Redis as an id only if it is one."""
    if is_entry_id(text):
        found = EntryId.parse(text)
        assert max(found) < 2**64


def test_other_spellings_are_no_ids() -> None:
    """Special ids, signs, digits of other scripts, and numbers above 64 bits are refused."""
    for text in (
        "",
        "$",
        "-",
        "+",
        "5",
        "5-",
        "-5",
        "1-1-1",
        "+1-0",
        "\u0661-\u0660",
        "1-0\n",
        f"{2**64}-0",
    ):
        assert not is_entry_id(text), text


def test_the_order_is_that_of_redis(client: redis.Redis, keys: Keys) -> None:
    """A range from an exclusive bound begins at the very next entry, and many ids parse as one
    does.
    """
    ids = [EntryId(9, 0), EntryId(9, 12), EntryId(10, 0), EntryId(10, 1)]
    for entry_id in ids:
        client.xadd(keys.commands("m"), {"c": "1"}, id=str(entry_id))
    found = client.xrange(keys.commands("m"), min=exclusive(ids[1]))
    raw: list[bytes] = [entry_id for entry_id, _ in found]  # type: ignore[union-attr,misc]  # the synchronous client's answer
    assert [EntryId.parse(entry_id) for entry_id in raw] == ids[2:]
    assert times_of(raw).tolist() == [10, 10]
