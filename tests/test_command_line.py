"""The command line as a whole: its commands, and what a process loads before it works."""

import inspect
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator

import click
import msgspec
import pytest

from driftgauge import Submission, ValidationData, compare
from driftgauge.__main__ import COMMANDS, SECTIONS, cli
from driftgauge.shared.reference.columns.choices import Choices
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.versions.gates import Gates

HEAVY = {"httpx", "joblib", "lightgbm", "matplotlib", "pandas", "scipy.stats", "sklearn"}


SERVERS = {"serve", "worker", "bridge kafka"}
"""Commands that print no facts but their log, which is JSON."""
ROWS = {"export"}
"""Commands that write rows, as JSON by `--format jsonl`."""
SINGLE = {
    ("simulate", "--drift"),
    ("simulate", "--segment"),
    ("simulate", "--feature"),
    ("plan", "--features"),
    ("report", "--id"),
}
"""One simulation has one drift, and changes one segment; a plan has numbers of features, segments
and labels; one report is shown. Elsewhere these are lists.
"""
COMPOSED = {"name", "reference", "gates", "choices", "pii_key"}
"""Fields of a submission that are arguments, or made of other options and settings."""


def leaves(command: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with its name as it is typed."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    if command.invoke_without_command:
        yield path, command
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from leaves(inner, f"{path} {name}".strip())


LEAVES = dict(leaves(cli()))


def keywords(command: str) -> dict[str, bool]:
    """Return the keyword that each option of a command stands for, and whether it is a list."""
    return {
        str(one.name): one.multiple
        for one in LEAVES[command].params
        if isinstance(one, click.Option)
    }


@pytest.mark.parametrize("name", sorted(LEAVES.keys() - SERVERS - ROWS))
def test_every_command_that_prints_facts_prints_json(name: str) -> None:
    """What a person reads, a program reads too."""
    options = [one for one in LEAVES[name].params if "--json" in one.opts]
    assert options, f"`driftgauge {name}` has no --json"
    assert options[0].name == "as_json"


def test_an_option_is_the_same_everywhere() -> None:
    """An option that takes a list in one command takes one in all, by one name; so does a column's
    name.
    """
    found: dict[str, set[tuple[bool, str]]] = defaultdict(set)
    for name, command in LEAVES.items():
        for one in command.params:
            if isinstance(one, click.Option) and (name, one.opts[0]) not in SINGLE:
                by_name = str(one.name) if one.multiple or one.opts[0].endswith("-column") else ""
                found[one.opts[0]].add((one.multiple, by_name))
    assert {option: ways for option, ways in found.items() if len(ways) > 1} == {}


def test_command_line_and_library_have_the_same_names() -> None:
    """A keyword of the library is an option of the command, in the same words: a list's option is
    its singular, since it is repeated.
    """
    register, validate = keywords("models register"), keywords("models validate")
    fields = {
        *(set(inspect.signature(Submission).parameters) - COMPOSED),
        *(set(Choices.__struct_fields__) - {"table"}),
        *TableFormat.__struct_fields__,
        *(set(msgspec.structs.asdict(Gates())) - {"minimum", "maximum"}),
    }
    assert fields <= register.keys()
    assert {"target_column", "prediction_column"} <= validate.keys() & set(
        inspect.signature(ValidationData).parameters
    )
    assert validate.items() <= keywords("models promote").items()
    assert {"features", "exclude"} <= keywords("compare").keys() & set(
        inspect.signature(compare).parameters
    )
    for name, command in LEAVES.items():
        for one in command.params:
            written = one.opts[0].lstrip("-").replace("-", "_")
            if isinstance(one, click.Option) and one.name in fields:
                assert one.name in {written, f"{written}s", f"{written}_file"}, (name, written)


def test_the_help_shows_every_command_in_its_group() -> None:
    """A newcomer finds a command by what it is for: each stands in one group, with what it does."""
    root = cli()
    text = root.get_help(click.Context(root, max_content_width=110, terminal_width=110))
    places = [text.index(f"\n{section}:\n") for section in SECTIONS]
    assert places == sorted(places)
    assert sum(len(names) for names in SECTIONS.values()) == len(COMMANDS)
    for name in COMMANDS:
        assert text.count(f"\n  {name} ") == 1
    assert "..." not in text[places[0] :]


def test_every_command_is_where_the_table_says() -> None:
    """Each name leads to a command of that name, with a line of help."""
    root = cli()
    context = click.Context(root)
    found = {name: root.get_command(context, name) for name in COMMANDS}
    assert {name: command and command.name for name, command in found.items()} == {
        name: name for name in COMMANDS
    }
    assert all(command is not None and command.get_short_help_str() for command in found.values())
    assert root.get_command(context, "nonsense") is None


def test_api_and_worker_start_without_the_libraries_of_models() -> None:
    """A process that only watches, or waits for its first window, has loaded none of what reads
    tables, fits models or draws; and the API none of what computes statistics.
    """
    code = (
        "import sys, driftgauge.producer.server\nprint(*sys.modules)\n"
        "import driftgauge.consumer.worker\nprint(*sys.modules)"
    )
    lines = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    api, both = (set(line.split()) for line in lines)
    assert "driftgauge.producer.app" in api
    assert "driftgauge.consumer.worker" in both
    assert HEAVY.isdisjoint(both)
    assert "scipy" not in api
