"""The name of the user who changes the registry, which is recorded with every change."""

import getpass
import os

import click


def current_user() -> str:
    """Return the name of the user, or the number of one without a name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


actor_option = click.option(
    "--actor", default=current_user, show_default="the user", help="Who does it; recorded."
)
reason_option = click.option("--reason", default="", help="Why; recorded.")
