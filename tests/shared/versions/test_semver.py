"""Semantic versions."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.versions.semver import following, is_version, precedence

NUMBERS = st.integers(0, 30)
IDENTIFIERS = st.one_of(st.integers(0, 30).map(str), st.text("ab-", min_size=1, max_size=2))


@st.composite
def versions(draw: st.DrawFn) -> str:
    release = ".".join(str(draw(NUMBERS)) for _ in range(3))
    before = ".".join(draw(st.lists(IDENTIFIERS, max_size=3)))
    return f"{release}-{before}" if before else release


def test_the_order_of_the_standard() -> None:
    """Any two of the chain in semver.org's section 11 are in its order."""
    chain = [
        *(
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
        ),
        *("1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1"),
    ]
    for one, other in itertools.combinations(chain, 2):
        assert precedence(one) < precedence(other)


@given(versions(), versions())
def test_different_versions_are_never_equal(one: str, other: str) -> None:
    """Without build metadata the order is total, so that sorting never depends on the folder's
    order.
    """
    assert (precedence(one) == precedence(other)) == (one == other)


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "1.0",
        "v1.0.0",
        "01.0.0",
        "1.0.0-",
        "1.0.0-01",
        "1.0.0-a..b",
        "1.0.0+b",
        "1.0.0\n",
        "../1.0.0",
        "\N{ARABIC-INDIC DIGIT ONE}.0.0",
        "1.0.0-" + "a" * 60,
    ],
)
def test_what_is_no_version(text: str) -> None:
    """Nothing passes that could leave the folder or has no place in the order."""
    assert not is_version(text)


@given(st.lists(versions(), min_size=1))
def test_the_following_version_is_newer(known: list[str]) -> None:
    """The suggested version is a version, and comes after all that there are."""
    found = following(known)
    assert is_version(found)
    assert all(precedence(found) > precedence(version) for version in known)
