"""The command line: joins the commands of producer, consumer and the demo."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.extras import needs
from driftgauge.shared.wording.visible import visible

if TYPE_CHECKING:
    import click

COMMANDS: Final = {
    "alerts": "consumer.commands.alerts",
    "backtest": "consumer.commands.backtest",
    "calibrate": "consumer.commands.calibrate",
    "compare": "consumer.commands.compare",
    "demo": "models.demo.commands",
    "demo-retrain": "models.demo.commands",
    "doctor": "producer.commands.doctor",
    "drift-test": "models.drift.commands",
    "keys": "producer.commands.keys",
    "labels": "producer.commands.labels",
    "models": "consumer.commands.models",
    "predict": "producer.commands.predict",
    "reference": "consumer.commands.references",
    "replay": "producer.commands.replay",
    "report": "consumer.commands.report",
    "serve": "producer.commands.serve",
    "simulate": "models.drift.commands",
    "status": "producer.commands.status",
    "up": "models.demo.commands",
    "worker": "consumer.commands.worker",
}
"""The module of each command, below this package; only the one that is called is imported."""


def cli() -> "click.Group":
    """Join all commands. Click is imported here, since the base installation has none."""
    import click

    class Commands(click.Group):
        def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
            return list(COMMANDS)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
            if cmd_name not in COMMANDS:
                return None
            module = import_module(f"driftgauge.{COMMANDS[cmd_name]}")
            found: click.Command = getattr(module, cmd_name.replace("-", "_"))
            return found

    root = Commands(
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
        # it may quote a file's column
        said = "\n".join(visible(line) for line in str(error).split("\n"))
        sys.stderr.write(f"driftgauge: {said}\n")
        sys.exit(error.exit_code)


def _run() -> None:
    import click

    from driftgauge.shared.telemetry import warnings_by_place

    warnings_by_place()
    try:
        cli()(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    main()
