"""The options that take names."""

import click
import pytest
from click.testing import CliRunner

from driftgauge.shared.tables.options import names_option


@click.command()
@names_option("--exclude")
def show(exclude: tuple[str, ...]) -> None:
    click.echo("|".join(exclude))


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ((), ""),
        (("a", "b"), "a|b"),
        (("a, b", "c"), "a|b|c"),
        (('"a,b"', "c d"), "a,b|c d"),
        ((",a,",), "a"),
    ],
)
def test_names_are_repeated_or_parted_by_commas(given: tuple[str, ...], names: str) -> None:
    """Both ways mean the same, and a name with a comma can be said."""
    arguments = [word for text in given for word in ("--exclude", text)]
    assert CliRunner().invoke(show, arguments).stdout.strip() == names
