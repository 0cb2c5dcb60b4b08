"""Where keys and entries of a TOML file stand."""

import time
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.policies.lines import line_of
from driftgauge.shared.policies.places import Place, places

NASTY = """\
# [no] = "header"
"quoted.key" . b = "it's # \\" x"
[ a . "b\\u0041" ]
x = 1979-05-27 07:32:00 # a date of two words
many = [ # [[ no ]]
  "],", '}', # a = 1
  [1, 2,], {k = [ {l = '#'} ], "m" = 1},
]
text = '''
[not]
a table = 1'''
quotes = QQQa "" b\\\\QQQ
[[a.list]]
[[a.list.inner]]
z = -1_000.5e3
[a.list.table]
[[a.list]]
[[a.list.inner]]
z = inf
""".replace("Q", '"')
EXPECTED = {
    ("quoted.key", "b"): 2,
    ("a", "bA"): 3,
    ("a", "bA", "x"): 4,
    ("a", "bA", "many", 1): 6,
    ("a", "bA", "many", 2, 1): 7,
    ("a", "bA", "many", 3, "k", 0, "l"): 7,
    ("a", "bA", "many", 3, "m"): 7,
    ("a", "bA", "text"): 9,
    ("a", "bA", "quotes"): 12,
    ("a", "list", 0, "inner", 0, "z"): 15,
    ("a", "list", 0, "table"): 16,
    ("a", "list", 1, "inner", 0): 18,
    ("a", "list", 1, "inner", 0, "z"): 19,
}


def leaves(found: Any, place: Place = ()) -> Iterator[Place]:
    """Yield where the values stand that are neither tables nor arrays."""
    if isinstance(found, dict | list):
        pairs = found.items() if isinstance(found, dict) else enumerate(found)
        for step, one in pairs:
            yield from leaves(one, (*place, step))
    else:
        yield place


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_value_is_found_at_its_line(end: str) -> None:
    """Whatever is written in strings and comments, and however tables and arrays are nested."""
    text = NASTY.replace("\n", end)
    known = set(leaves(tomllib.loads(text)))
    found = [place for place, _ in places(text)]
    assert known <= set(found)
    assert len(found) == len(set(found))
    assert {place: line_of(text.encode(), place) for place in EXPECTED} == EXPECTED


names = st.sampled_from(["a", "b-1", "'c d'", '"e.f"', '"\\""'])
keys = st.lists(names, min_size=1, max_size=2).map(" . ".join)
scalars = st.sampled_from(
    ["1", "'x]'", '"a\\"#"', "2020-01-01 10:00:00", "true", '"""\n[x]\n"""', "'''}'''", '""']
)
spaces = st.sampled_from(["", " ", "\n", " # ]}\n"])


def array(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    entries = st.lists(st.tuples(spaces, inner, spaces).map("".join), max_size=3)
    return st.tuples(entries.map(",".join), spaces).map(lambda parts: f"[{''.join(parts)}]")


def table(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(names, inner), max_size=2, unique_by=lambda pair: pair[0])
    return pairs.map(lambda found: f"{{ {', '.join(f'{key} = {one}' for key, one in found)} }}")


values = st.recursive(scalars, lambda inner: array(inner) | table(inner), max_leaves=6)
statements = (
    st.tuples(keys, values).map(" = ".join)
    | keys.map(lambda key: f"[{key}]")
    | keys.map(lambda key: f"[[ {key} ]] # x")
)


@given(st.lists(statements, max_size=8).map("\n".join))
def test_the_places_are_those_of_the_parser(text: str) -> None:
    """Of any file that is TOML every value is found, and nothing that the file does not have."""
    try:
        whole = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = {place for place, _ in places(text)}
    assert set(leaves(whole)) <= found
    for place in found:
        inside: Any = whole
        for step in place:
            inside = inside[step]


@pytest.mark.parametrize("broken", ["[", "a", "a = ", "a = [", 'a = "', "= 1", "a = {1", "\0"])
def test_what_is_no_toml_ends(broken: str) -> None:
    """The walk ends without an error, wherever it does."""
    assert len(list(places(broken))) <= 2


def test_a_long_file_takes_no_long_time() -> None:
    """The last of thousands of entries, within one array or each a table, is found in one walk."""
    entries = ",\n".join(f'{{metric = "psi", feature = "c{place}"}}' for place in range(4000))
    text = f"[default]\nthresholds = [\n{entries}\n]".encode()
    begun = time.process_time()
    assert line_of(text, ("default", "thresholds", 3999, "feature")) == 4002
    assert time.process_time() - begun < 1
