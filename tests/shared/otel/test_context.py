"""A caller's trace context is joined by the rules of W3C, and what breaks them is ignored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.otel.context import caller_of, carried, parsed

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
HOSTILE = (
    "",
    "00",
    GOOD.upper(),
    GOOD + "-more",
    GOOD + " ",
    GOOD + "\n",
    " " + GOOD,
    f"ff-{TRACE}-{SPAN}-01",
    f"0-{TRACE}-{SPAN}-01",
    f"00-{'0' * 32}-{SPAN}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE[:-1]}-{SPAN}-01",
    f"00-{TRACE}-{SPAN}-1",
    f"00-{TRACE}-{SPAN}-zz",
    f"00-{TRACE[:-1]}g-{SPAN}-01",
    f"00-{TRACE}-{SPAN}-01,{GOOD}",
    f"01-{TRACE}-{SPAN}-01more",
    "00-" + "é" * 32 + f"-{SPAN}-01",
    "<script>alert(1)</script>",
    "9" * 100_000,
)


def test_a_good_one_is_joined() -> None:
    """Trace, span and flags are read; a later version may have more behind them."""
    found = parsed(GOOD)
    assert found is not None
    assert (found.trace, found.span, found.flags) == (TRACE, SPAN, 1)
    later = parsed(f"cc-{TRACE}-{SPAN}-03-what-comes")
    assert later is not None
    assert later.carried == f"{TRACE}-{SPAN}"


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:24].encode("unicode_escape"))
def test_a_hostile_one_is_ignored(text: str) -> None:
    """What breaks a rule is no context, and raises nothing."""
    assert parsed(text) is None
    assert caller_of([(b"traceparent", text.encode("latin-1", "replace"))]) is None


@given(
    st.text(max_size=80) | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{30,34}-[0-9a-f]{16}-[0-9a-f]{2}")
)
def test_whatever_comes_is_one_or_none(text: str) -> None:
    """No text raises; what is joined has ids that are not all zero."""
    found = parsed(text)
    assert found is None or (int(found.trace, 16) and int(found.span, 16))


def test_two_contexts_are_none() -> None:
    """With two parents nobody knows which is right."""
    assert caller_of([(b"traceparent", GOOD.encode())] * 2) is None
    assert caller_of([(b"host", b"a")]) is None


def test_a_trace_that_nobody_keeps_is_not_carried() -> None:
    """It is joined, so that the decision of the caller goes on, and no event names it."""
    found = parsed(f"00-{TRACE}-{SPAN}-00")
    assert found is not None
    assert found.carried is None


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        ((b"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",), True),
        ((b"congo=1", b"rojo=2"), True),
        ((b"a=1, ,b=2",), True),
        ((b"a=1,a=2",), False),
        ((b"A=1",), False),
        ((b"a",), False),
        ((b"a=\xff",), False),
        ((b"a=" + b"1" * 600,), False),
        ((",".join(f"k{n}=1" for n in range(33)).encode(),), False),
    ],
)
def test_a_state_is_passed_on_or_left_out(*, states: tuple[bytes, ...], kept: bool) -> None:
    """What vendors added is kept as a whole, or left out as a whole; the trace is joined anyway."""
    found = caller_of([(b"traceparent", GOOD.encode()), *((b"tracestate", one) for one in states)])
    assert found is not None
    assert found.state == (b",".join(states).decode("latin-1") if kept else "")


def test_what_an_event_carries_is_read_again() -> None:
    """Only what we wrote is a link: an event of another hand names nothing."""
    assert carried(f"{TRACE}-{SPAN}") is not None
    for text in (GOOD, f"{TRACE}-{'0' * 16}", f"{TRACE}-{SPAN}\n", "", "x" * 49):
        assert carried(text) is None
