"""`driftgauge doctor`: looks at everything that a newcomer gets wrong, and says what to do."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click
import msgspec

from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.local.finding import find
from driftgauge.shared.wording.visible import visible

if TYPE_CHECKING:
    from driftgauge.producer.diagnosis.check import Check

MARKS: Final = {"ok": ("OK", "green"), "note": ("note", "yellow"), "wrong": ("WRONG", "bold red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def doctor(*, as_json: bool) -> None:
    """Look at settings, machine, Redis, API and worker, and say what to do next. Exit code 1 if
    something is wrong.
    """
    from rich.console import Console
    from rich.text import Text

    console, found = Console(highlight=False), []
    with Console(stderr=True).status("looking …"):
        for check in _checks():
            found.append(check)
            if not as_json:
                word, style = MARKS[check.state]
                line = Text.assemble(
                    (f"{word:<6}", style), f"{check.name}: {visible(check.found.rstrip('.'))}."
                )
                console.print(line, soft_wrap=True)
                if check.advice:
                    console.print(Text(f"      → {visible(check.advice)}"), soft_wrap=True)
    faults = sum(check.state == "wrong" for check in found)
    if as_json:
        click.echo(msgspec.json.encode({"wrong": faults, "checks": found}))
    else:
        click.echo(f"{faults} of {len(found)} are wrong." if faults else "Nothing is wrong.")
    sys.exit(1 if faults else 0)


def _checks() -> "Iterator[Check]":
    """Look at one thing after the other; the settings come first, since all else follows them."""
    from driftgauge.producer.diagnosis import machine, pipeline, policy, server
    from driftgauge.producer.diagnosis.check import ok, wrong
    from driftgauge.producer.diagnosis.sources import look

    try:
        found = find()
    except ConfigurationError as error:
        yield wrong("settings", "some cannot be used", str(error))
        return
    yield ok("settings", "all can be used")
    if found.doubt:
        yield ok("chosen", found.doubt.rstrip("."))
    yield machine.deployment_check(found)
    yield from machine.machine_checks(found)
    yield from server.server_checks(found)
    yield policy.policy_check(found)
    picture = look(found)
    yield pipeline.api_check(found, picture)
    if not picture.service.answers:
        yield machine.port_check(found)
    yield from pipeline.model_checks(found, picture)
