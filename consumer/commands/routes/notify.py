"""`driftgauge notify`: test the routes of notifications, and list them."""

from typing import TYPE_CHECKING

import click
import msgspec

from driftgauge.consumer.commands.actor import current_user
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.settings import Settings
from driftgauge.shared.wording.visible import visible

if TYPE_CHECKING:
    from driftgauge.consumer.commands.routes.listing import Listed
    from driftgauge.consumer.notifying.routes import Route


@click.group()
def notify() -> None:
    """Test the routes by which incidents are told, and list them.

    The routes stand in the policy file, DRIFTGAUGE_POLICY_FILE.
    """


@notify.command()
@click.argument("route")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def test(route: str, *, as_json: bool) -> None:
    """Send a message by ROUTE now that says that it is a test.

    It is sent from here, not by a worker: this machine needs the route's secrets.
    """
    from driftgauge.consumer.commands.routes.trial import send_test

    settings = located_settings()
    routes = {one.name: one for one in _routes(settings)}
    if route not in routes:
        known = ", ".join(sorted(routes)) or "none"
        raise BadData(f"The policy file has no route {route!r}; there are: {known}.")
    sent = send_test(routes[route], settings.public_url or "", current_user())
    if as_json:
        click.echo(msgspec.json.encode({"route": route, "messages": sent}))
        return
    click.echo(f"Sent {'a test' if sent == 1 else 'a test and its end'} by {route}.")


@notify.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_routes(*, as_json: bool) -> None:
    """List the routes: what they take, what waits, what was sent last, what fails.

    They are read from the policy file and from Redis.
    """
    from driftgauge.consumer.commands.routes.listing import listed
    from driftgauge.shared.connections.nodes import Nodes
    from driftgauge.shared.contract.keys import Keys

    settings = located_settings()
    nodes, keys = Nodes(settings.redis_url), Keys(settings.key_prefix)
    try:
        nodes.require(keys.routes)
        found = listed(nodes, keys, _routes(settings))
    finally:
        nodes.close()
    if as_json:
        for one in found:
            click.echo(msgspec.json.encode(one.document))
    elif found:
        _show(found)
    else:
        click.echo("There are no routes: nobody is told of incidents. See docs/notifying.md.")


def _routes(settings: Settings) -> "tuple[Route, ...]":
    from driftgauge.consumer.policies.file import read_file

    path = settings.policy_file
    return () if path is None else read_file(path).file.routes


def _show(found: "list[Listed]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from driftgauge.consumer.commands.routes.listing import COLUMNS

    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(*(Text(visible(cell)) for cell in one.row))
    Console(highlight=False).print(table)
