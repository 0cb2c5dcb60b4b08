"""The root: joins the commands of producer, consumer and the demo, and the names of the library (docs/library.md)."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

import consumer.cli
import models.cli
import models.drift.commands
import producer.cli
from shared.errors import DriftgaugeError

if TYPE_CHECKING:
    from consumer.comparison import chi_squared, compare, jensen_shannon, ks, psi, statistics, wasserstein
    from consumer.judging.policy import JudgingPolicy
    from consumer.registration import Submission, register_version
    from shared.gates import ValidationData, promote, validate
    from shared.model_registry import ModelRegistry
    from shared.pii import remove as remove_personal
    from shared.reporting.html import render_html

__all__ = [
    "JudgingPolicy",
    "ModelRegistry",
    "Submission",
    "ValidationData",
    "chi_squared",
    "compare",
    "jensen_shannon",
    "ks",
    "promote",
    "psi",
    "register_version",
    "remove_personal",
    "render_html",
    "statistics",
    "validate",
    "wasserstein",
]
_HOMES = {
    "consumer.comparison": ("chi_squared", "compare", "jensen_shannon", "ks", "psi", "statistics", "wasserstein"),
    "consumer.judging.policy": ("JudgingPolicy",),
    "consumer.registration": ("Submission", "register_version"),
    "shared.gates": ("ValidationData", "promote", "validate"),
    "shared.model_registry": ("ModelRegistry",),
    "shared.pii": ("remove_personal",),
    "shared.reporting.html": ("render_html",),
}
"""The module of each name."""


def __getattr__(name: str) -> object:
    """Import a name of the library when it is asked for: with SciPy at once, every command would take a second longer."""
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'driftgauge' has no attribute {name!r}")
    return getattr(import_module(home), {"remove_personal": "remove"}.get(name, name))


@click.group(context_settings={"max_content_width": 110})
@click.version_option(package_name="driftgauge")
def cli() -> None:
    """Driftgauge watches machine-learning models in production."""


for command in (*models.cli.COMMANDS, *models.drift.commands.COMMANDS, *producer.cli.COMMANDS, *consumer.cli.COMMANDS):
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
