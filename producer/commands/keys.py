"""`driftgauge keys`: who may use the API."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from driftgauge.shared.access.key_file import (
    SCOPES,
    Key,
    KeyScope,
    create_key,
    read_keys,
    revoke_key,
)
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.wording.times import moment

UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def lifetime(text: str) -> timedelta:
    """Read a time such as 90d, 12h or 30m."""
    found = re.fullmatch(r"([1-9]\d{0,4})([dhm])", text)
    if found is None:
        raise click.BadParameter(
            f"{text!r} is no lifetime: use days, hours or minutes, such as 90d, 12h or 30m."
        )
    return timedelta(**{UNITS[found[2]]: int(found[1])})


@click.group()
def keys() -> None:
    """Make, list and revoke API keys; the API notices within seconds.

    Without any, the API needs none and listens on loopback only. They are kept, hashed, in
    DRIFTGAUGE_KEYS_FILE.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    required=True,
    help="What it may do; several times for several. predict: post predictions and events; "
    "label: post labels; read: see models, drift, reports, alerts, metrics; "
    "admin: promote, roll back, and all else.",
)
@click.option(
    "--expires",
    type=lifetime,
    metavar="TIME",
    help="How long it is good for: 90d, 12h, 30m.  [default: ever]",
)
@click.option("--json", "as_json", is_flag=True, help="Print name, scopes, end and key as JSON.")
def create(
    name: str, scopes: tuple[KeyScope, ...], expires: timedelta | None, *, as_json: bool
) -> None:
    """Make a key called NAME and print it, this once."""
    path = located_settings().keys_path.absolute()
    until = None if expires is None else datetime.now(UTC).replace(microsecond=0) + expires
    allowed = tuple(scope for scope in SCOPES if scope in scopes)
    text = create_key(path, name, allowed, until)
    click.echo(f"This is the only time that the key is shown. {path} holds its hash.", err=True)
    told = {"name": name, "scopes": allowed, "expires": until, "key": text}
    click.echo(msgspec.json.encode(told) if as_json else text)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_keys(*, as_json: bool) -> None:
    """List the keys: names, scopes and times, never the keys."""
    content = read_keys(located_settings().keys_path)
    known = () if content is None else content.keys
    if as_json:
        click.echo(
            msgspec.json.encode(
                [{**_without_digest(key), "expired": key.expired()} for key in known]
            )
        )
        return
    if not known:
        click.echo(
            "There are no keys, so the API needs none and listens on loopback only."
            if content is None
            else "None."
        )
        return
    table = Table("name", "id", "scopes", "created", "expires", box=None)
    for key in known:
        expires = (
            "never"
            if key.expires is None
            else moment(round(key.expires.timestamp() * 1000)) + " (over)" * key.expired()
        )
        table.add_row(
            escape(key.name),
            key.id,
            ", ".join(key.scopes),
            moment(round(key.created.timestamp() * 1000)),
            expires,
        )
    Console().print(table)


@keys.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the revoked key as JSON.")
def revoke(name: str, *, as_json: bool) -> None:
    """Make the key called NAME useless, and end its sessions."""
    key = revoke_key(located_settings().keys_path, name)
    if as_json:
        click.echo(msgspec.json.encode({"revoked": _without_digest(key)}))
    else:
        click.echo(f"Revoked {key.name} ({key.id}).")


def _without_digest(key: Key) -> dict[str, Any]:
    described: dict[str, Any] = msgspec.to_builtins(key)
    return {
        "expires": None,
        **{name: value for name, value in described.items() if name != "digest"},
    }
