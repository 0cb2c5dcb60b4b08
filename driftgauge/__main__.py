"""The command line: joins the commands of producer, consumer and the demo."""

import sys

import click

import driftgauge.consumer.cli
import driftgauge.models.demo.cli
import driftgauge.models.drift.commands
import driftgauge.producer.cli
from driftgauge.shared.errors import DriftgaugeError


@click.group(context_settings={"max_content_width": 110})
@click.version_option(package_name="driftgauge")
def cli() -> None:
    """Driftgauge watches machine-learning models in production."""


for command in (
    *driftgauge.models.demo.cli.COMMANDS,
    *driftgauge.models.drift.commands.COMMANDS,
    *driftgauge.producer.cli.COMMANDS,
    *driftgauge.consumer.cli.COMMANDS,
):
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
