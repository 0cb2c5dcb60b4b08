"""The root: joins the commands of producer, consumer and the demo, and the names of the library (docs/library.md)."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

import consumer.cli
import models.cli
import producer.cli
from shared.errors import DriftgaugeError

if TYPE_CHECKING:
    from consumer.comparison import chi_squared, compare, jensen_shannon, ks, psi, statistics, wasserstein
    from consumer.judging.policy import JudgingPolicy
    from shared.reporting.html import render_html

__all__ = [
    "JudgingPolicy",
    "chi_squared",
    "compare",
    "jensen_shannon",
    "ks",
    "psi",
    "render_html",
    "statistics",
    "wasserstein",
]
_HOMES = {"JudgingPolicy": "consumer.judging.policy", "render_html": "shared.reporting.html"}


def __getattr__(name: str) -> object:
    """Import a name of the library when it is asked for: with SciPy at once, every command would take a second longer."""
    if name not in __all__:
        raise AttributeError(f"module 'driftgauge' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "consumer.comparison")), name)


@click.group(context_settings={"max_content_width": 110})
@click.version_option(package_name="driftgauge")
def cli() -> None:
    """Driftgauge watches machine-learning models in production."""


for command in (*models.cli.COMMANDS, *producer.cli.COMMANDS, *consumer.cli.COMMANDS):
    cli.add_command(command)


def main() -> None:
    """Run a command; a known error is one line on standard error and an exit code of sysexits.h."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except DriftgaugeError as error:
        click.echo(f"driftgauge: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
