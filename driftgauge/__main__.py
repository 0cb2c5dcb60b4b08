"""The command line: joins the commands of producer, consumer and the demo."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.extras import needs
from driftgauge.shared.wording.visible import visible

if TYPE_CHECKING:
    import click

SECTIONS: Final = {
    "Run": {
        "demo": "models.demo.commands",
        "up": "models.demo.commands",
        "serve": "producer.commands.serve",
        "worker": "consumer.commands.worker",
    },
    "Look": {
        "status": "producer.commands.status",
        "incidents": "consumer.commands.told.incidents",
        "alerts": "consumer.commands.told.alerts",
        "report": "consumer.commands.report",
    },
    "Models and references": {
        "models": "consumer.commands.models",
        "reference": "consumer.commands.references",
        "calibrate": "consumer.commands.calibrate",
    },
    "Predictions and labels": {
        "predict": "producer.commands.predict",
        "replay": "producer.commands.replay",
        "bridge": "consumer.commands.bridge",
        "labels": "producer.commands.labels",
        "export": "consumer.commands.kept.export",
        "query": "consumer.commands.kept.query",
    },
    "Compare and try out": {
        "compare": "consumer.commands.compare",
        "slice": "consumer.commands.kept.slice",
        "backtest": "consumer.commands.backtest",
        "simulate": "models.drift.commands",
    },
    "Operate": {
        "doctor": "producer.commands.doctor",
        "notify": "consumer.commands.routes.notify",
        "keys": "producer.commands.keys",
        "redis": "producer.commands.redis_users",
        "schemas": "producer.commands.schemas",
        "plan": "producer.commands.plan",
        "migrate": "consumer.commands.upkeep.migrate",
        "archive": "consumer.commands.kept.archive",
        "erase": "consumer.commands.kept.erase",
        "backup": "consumer.commands.upkeep.backup",
        "restore": "consumer.commands.upkeep.restore",
    },
    "Develop": {
        "drift-test": "models.drift.commands",
        "demo-retrain": "models.demo.commands",
    },
}
"""The commands in the groups of `--help`, each with its module below this package; only that of the
one that is called is imported.
"""
COMMANDS: Final = {
    name: module for commands in SECTIONS.values() for name, module in commands.items()
}
"""The module of each command."""

WHOLE: Final = 1000
"""Most characters of a command's line in `--help`: its first sentence, which is folded, not cut."""


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

        def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            for section, names in SECTIONS.items():
                found = {name: self.get_command(ctx, name) for name in names}
                with formatter.section(section):
                    formatter.write_dl(
                        [
                            (name, command.get_short_help_str(WHOLE))
                            for name, command in found.items()
                            if command is not None
                        ],
                        col_max=max(map(len, COMMANDS)),
                    )

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
