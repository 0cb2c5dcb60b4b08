import msgspec

from driftgauge.shared.losses import MOST_SETBACKS, TOLD_MS, Setback, noted, noting


def test_the_latest_setback_of_each_key_is_noted() -> None:
    """A stage's field holds the latest setback of each key, no more than so many, none that is told
    no longer; what another release wrote in another form is passed over.
    """
    packed: bytes | None = b"another form"
    assert noted(packed) == noted(None) == []
    for at in range(3):
        packed = noting(packed, Setback("dg:{m.0}:log", f"entry {at}-0", "", at))
    assert noted(packed) == [Setback("dg:{m.0}:log", "entry 2-0", "", 2)]
    for key in range(MOST_SETBACKS):
        packed = noting(packed, Setback(f"dg:{{m.{key}}}:panes", "entry 9-0", "", 3 + key))
    assert [one.what for one in noted(packed)][:: MOST_SETBACKS - 1] == [
        f"dg:{{m.{MOST_SETBACKS - 1}}}:panes",
        "dg:{m.0}:panes",
    ]
    late = Setback("dg:{m}:judge", "commit 9", "", 3 + TOLD_MS)
    found = noted(noting(packed, late))
    assert (found[0], found[-1].at) == (late, 4)


def test_a_note_is_read_by_the_release_before() -> None:
    """A release that knows the latest setback alone reads it, and what it wrote is read as well."""
    first, second = (Setback(key, "commit 9", "commit 7", 1, 20) for key in ("a", "b"))
    note = noting(noting(None, first), second)
    assert msgspec.json.decode(note, type=Setback) == second
    assert noted(msgspec.json.encode(first)) == [first]
