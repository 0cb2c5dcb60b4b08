"""The command line: joins the commands of producer, consumer and the demo."""

import sys
from typing import TYPE_CHECKING

from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.extras import needs

if TYPE_CHECKING:
    import click


def cli() -> "click.Group":
    """Join all commands; they are imported here, since the base installation has none of what they
    import.
    """
    import click

    import driftgauge.consumer.cli
    import driftgauge.models.demo.cli
    import driftgauge.models.drift.commands
    import driftgauge.producer.cli

    commands = (
        *driftgauge.models.demo.cli.COMMANDS,
        *driftgauge.models.drift.commands.COMMANDS,
        *driftgauge.producer.cli.COMMANDS,
        *driftgauge.consumer.cli.COMMANDS,
    )
    root = click.Group(
        commands=commands,
        help="Driftgauge watches machine-learning models in production.",
        context_settings={"max_content_width": 110},
    )
    return click.version_option(package_name="driftgauge")(root)


def main() -> None:
    """Run a command; a known error is one line on standard error and an exit code of sysexits.h."""
    try:
        with needs("server"):
            _run()
    except DriftgaugeError as error:
        sys.stderr.write(f"driftgauge: {error}\n")
        sys.exit(error.exit_code)


def _run() -> None:
    import click

    try:
        cli()(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    main()
