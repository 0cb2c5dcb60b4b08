"""The commands with their options, as `--help` has them."""

import inspect
import re
from collections.abc import Iterator
from typing import cast

import click

from docs.making.prose import meant, plain, table
from driftgauge.__main__ import SECTIONS, cli


def page() -> str:
    """Write a section for each command, in the groups of `driftgauge --help`."""
    root = click.Context(cli(), info_name="driftgauge")
    written: list[str] = []
    for section, names in SECTIONS.items():
        written.append(f"## {section}")
        written += [_command(one) for name in names for one in commands(name, root)]
    return "\n\n".join(written)


def commands(name: str, parent: click.Context) -> Iterator[click.Context]:
    """Yield the context of a command, and those of the commands below it."""
    _, command, _ = cast(click.Group, parent.command).resolve_command(parent, [name])
    context = click.Context(cast(click.Command, command), info_name=name, parent=parent)
    yield context
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from commands(inner, context)


def _command(context: click.Context) -> str:
    command, path = context.command, context.command_path
    meant(command.help, path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    options = [
        (f"`{', '.join([*one.opts, *one.secondary_opts])}`", _option(one, context))
        for one in command.params
        if isinstance(one, click.Option) and not one.hidden
    ]
    level = "###" if context.parent and context.parent.parent is None else "####"
    parts = [f"{level} {path}", f"```\n{usage}\n```", _help(command)]
    if isinstance(command, click.Group):
        inner = ", ".join(f"`{path} {name}`" for name in command.list_commands(context))
        parts.append(f"Commands: {inner}.")
    return "\n\n".join([*parts, table(["Option", "Meaning"], options)] if options else parts)


def _help(command: click.Command) -> str:
    """Write the help as Markdown: what click is told not to wrap is preformatted."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(command.help or ""))
    return "\n\n".join(
        f"```\n{one.lstrip(chr(8)).strip(chr(10))}\n```"
        if one.startswith("\b")
        else plain(" ".join(one.split()))
        for one in paragraphs
    )


def _option(option: click.Option, context: click.Context) -> str:
    """Write an option's meaning with its default and whether it can be repeated."""
    said = plain(meant(option.help, f"{context.command_path} {option.opts[0]}"))
    extra = option.get_help_extra(context)
    if isinstance(option.type, click.Choice):
        said += f" One of {', '.join(f'`{one}`' for one in option.type.choices)}."
    if "range" in extra:
        said += f" Range: `{extra['range']}`."
    if "default" in extra:
        said += f" Default: `{extra['default']}`."
    if option.required:
        said += " Needed."
    if option.multiple:
        said += " Can be repeated."
    return said
