"""The command line as a whole: its commands, and what a process loads before it works."""

import subprocess
import sys

import click

from driftgauge.__main__ import COMMANDS, cli

HEAVY = {"httpx", "joblib", "lightgbm", "matplotlib", "pandas", "scipy.stats", "sklearn"}


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
    tables, fits models or draws.
    """
    code = "import driftgauge.consumer.worker, driftgauge.producer.server, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "driftgauge.producer.app" in loaded
    assert HEAVY.isdisjoint(loaded)
