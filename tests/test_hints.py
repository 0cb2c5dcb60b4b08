"""What messages, pages and docs tell people to type is a command that exists, with options that
exist.
"""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from driftgauge.__main__ import cli
from tests.places import ROOT

CODE = (
    "consumer",
    "driftgauge/__init__.py",
    "driftgauge/__main__.py",
    "models",
    "producer",
    "shared",
)
PAGES = ("README.md", "CONTRIBUTING.md", "docs", "models")
TEMPLATES = ("producer/dashboard/templates", "shared/reporting/templates")
TICKED = re.compile(r"`(?:[\w./]*/)?(driftgauge [^`]+)`|<code>(driftgauge [^<]+)</code>")
LINE = re.compile(r"^\s*(?:\$ )?(?:\w+=\S+ )*(?:[\w./]*/)?(driftgauge .+)$")
FENCED = re.compile(r"```.*?```", re.DOTALL)
FILLED = re.compile(r"\{\{.*?\}\}")
BLOCK = re.compile(r"```(?:sh|console|bash)\n(.*?)```", re.DOTALL)
OPTION = re.compile(r"(?<![\w`./-])`?(--[a-z][a-z0-9-]+)")
FOREIGN = {
    *("--name", "--registry"),  # models.NAME.train
    *("--at-least", "--patience", "--rows"),  # models.demo.retrain
    *("--cluster", "--faults", "--gap", "--minutes", "--mix", "--only"),  # benchmarks
    *("--quick", "--seconds", "--write"),
    *("--appendfsync", "--appendonly", "--dir", "--maxmemory-policy"),  # redis-server
    *("--save", "--unixsocket", "--unixsocketperm"),
    *("--abbrev", "--always", "--dirty"),  # git
    *(
        "--build",
        "--data-binary",
        "--namespace",
        "--profile",
        "--strict",
    ),  # docker, curl, kubectl, mypy
    "--driftgauge-reports",  # pytest, of the plugin
    "--upgrade",  # pip
}
"""Options that messages and pages name, and that are of other programs."""
FIELD = "{}"
"""What stands for the field of a formatted message or template."""


class Hint(NamedTuple):
    """A command that people are told to type, and where."""

    place: str
    command: str


@cache
def texts(path: Path) -> tuple[tuple[int, str], ...]:
    """Return every text of a module and its line, with `FIELD` for what is filled in."""
    return tuple(_texts(path))


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (
                str(part.value) if isinstance(part, ast.Constant) else FIELD for part in node.values
            )
            yield node.lineno, "".join(parts)


def files(places: tuple[str, ...], suffix: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        yield from [path] if path.is_file() else sorted(path.rglob(f"*{suffix}"))


def _hints() -> Iterator[Hint]:
    """Yield the hints of messages and docstrings, of the dashboard's pages, and of the docs."""
    for path in files(CODE, ".py"):
        for line, text in texts(path):
            yield from ticked(f"{path.relative_to(ROOT)}:{line}", text)
    for path in files(TEMPLATES, ".j2"):
        yield from ticked(str(path.relative_to(ROOT)), FILLED.sub(FIELD, path.read_text()))
    for path in files(PAGES, ".md"):
        place, page = str(path.relative_to(ROOT)), path.read_text()
        yield from ticked(place, FENCED.sub("", page))
        lines = (
            line
            for block in BLOCK.findall(page)
            for line in block.replace("\\\n", " ").splitlines()
        )
        yield from (Hint(place, found[1]) for line in lines if (found := LINE.match(line)))


@cache
def hints() -> list[Hint]:
    return sorted(set(_hints()))


def ticked(place: str, text: str) -> Iterator[Hint]:
    """Yield the commands between backticks, or marked as code."""
    for found in TICKED.finditer(text):
        yield Hint(place, (found[1] or found[2]).replace("\n", " "))


def words_of(command: str) -> list[str]:
    """Part a hint as a shell would, without what comes after the command."""
    words = shlex.split(command.removesuffix(" …"), comments=True)[1:]
    end = next((at for at, word in enumerate(words) if word in {"|", ">", "&&", "&", ";"}), None)
    return words[:end]


def fault_of(command: str) -> str | None:
    """Say what is wrong with a hint; None if the command line takes it."""
    found: click.Command = cli()
    words, path = words_of(command), ["driftgauge"]
    if not words or not words[0][0].islower():  # `driftgauge --help`, `driftgauge COMMAND`
        return None
    context = click.Context(found)
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        inner = found.get_command(context, name)
        if inner is None:
            return f"{' '.join(path)} has no command {name!r}"
        path.append(name)
        found, context = inner, click.Context(inner, parent=context)
    said = refused(found, context, words)
    return said and f"{' '.join(path)}: {said}"


def refused(command: click.Command, context: click.Context, words: list[str]) -> str | None:
    """Say why a command does not take these words; a command without any is only named."""
    try:
        given, left, _ = command.make_parser(context).parse_args([*words])
    except click.UsageError as error:
        return error.message
    if isinstance(command, click.Group) or not words or "--help" in words:
        return None
    absent = [str(one.name) for one in command.params if one.required and not given.get(one.name)]
    return f"it needs {', '.join(absent)}" if absent else f"it takes no {left}" if left else None


def options(command: click.Command) -> Iterator[str]:
    """Yield every option of a command and of those below it."""
    yield "--help"
    for one in command.params:
        yield from (*one.opts, *one.secondary_opts)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from options(inner)


def test_every_hint_is_a_command_with_its_options() -> None:
    """Whoever pastes what a message or page says gets what it says, not a usage error."""
    faults = {hint: said for hint in hints() if (said := fault_of(hint.command))}
    assert not faults, "\n".join(f"{hint}: {said}" for hint, said in faults.items())
    assert len(hints()) > 100


def test_every_option_that_is_named_is_one() -> None:
    """A message or page names no option that was renamed: each is one of a command, or is known to
    be another program's.
    """
    known = {*options(cli()), *FOREIGN}
    pages = [(str(path), path.read_text()) for path in files(PAGES, ".md")]
    messages = [
        (f"{path}:{line}", text) for path in files(CODE, ".py") for line, text in texts(path)
    ]
    unknown = {
        (place, name)
        for place, text in (*pages, *messages)
        for name in OPTION.findall(text)
        if name not in known
    }
    assert unknown == set()


@pytest.mark.parametrize(
    "command",
    [
        "driftgauge nonsense",
        "driftgauge models nonsense",
        "driftgauge models register m --nonsense",
        "driftgauge status --model",
        "driftgauge models promote a b c",
    ],
)
def test_a_wrong_hint_is_seen(command: str) -> None:
    """The check can fail."""
    assert fault_of(command)
