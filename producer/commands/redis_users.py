"""`driftgauge redis`: the users of Redis by which API, worker, bridge and people work."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import click
import msgspec

from driftgauge.shared.connections.cluster import is_cluster
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.rights.acl import Release, digest_rule, rules, user_name
from driftgauge.shared.rights.table import RIGHTS, ROLES, Role

PASSWORD_BYTES = 32
LEAST_CHARACTERS = 16
"""Least length of a password: Redis lets anybody try a million a second."""
PASSWORDS_STAY = "Its passwords stay as they are; without any, nobody can log in as it."
NO_PASSWORD = "It has no password, so nobody can log in as it: use --generate or --password-file."  # noqa: S105  a remark


class User(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user of Redis.

    Parameters
    ----------
    rules
        What ACL SETUSER takes behind the name.
    password
        The password, if it was generated now.
    """

    role: Role
    name: str
    rules: tuple[str, ...]
    password: str = ""

    def line(self, *, aclfile: bool) -> str:
        """Return the line that makes this user."""
        return " ".join(("user" if aclfile else "ACL SETUSER", self.name, *self.rules))


@click.group()
def redis() -> None:
    """Set up Redis for a deployment."""


@redis.command()
@click.option(
    "--role",
    "roles",
    type=click.Choice(ROLES),
    multiple=True,
    help="Only the user of this role; repeatable.  [default: all]",
)
@click.option("--aclfile", is_flag=True, help="Lines of an aclfile, not of redis-cli.")
@click.option(
    "--release",
    type=click.Choice(["7", "6.2"]),
    default="7",
    show_default=True,
    help="Of Redis: 7 and later, and Valkey, tell reading from writing; 6.2 cannot.",
)
@click.option("--generate", is_flag=True, help="Give each user a new password, shown this once.")
@click.option(
    "--password-file",
    "password_files",
    multiple=True,
    metavar="ROLE=FILE",
    help="Give the role's user the password in FILE; its hash is printed. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of the users.")
def acl(
    roles: tuple[Role, ...],
    release: Release,
    password_files: tuple[str, ...],
    *,
    aclfile: bool,
    generate: bool,
    as_json: bool,
) -> None:
    """Print the users with the least rights that each role needs, for the configured key prefix.

    Nothing is sent to Redis: `driftgauge redis acl | redis-cli` does that. A user's former rights
    are replaced; its passwords stay, unless one is given here.
    """
    if generate and password_files:
        raise click.UsageError("Choose one of --generate and --password-file.")
    chosen = roles or ROLES
    given = _read_passwords(password_files, chosen)
    if generate:
        given = {role: secrets.token_urlsafe(PASSWORD_BYTES) for role in chosen}
    settings = located_settings()
    further = [*needed_by(settings.redis_url)]
    users = [
        User(
            role,
            user_name(settings.key_prefix, role),
            (
                *(("resetpass", digest_rule(given[role])) if role in given else ()),
                *rules(role, settings.key_prefix, release, further),
            ),
            given[role] if generate else "",
        )
        for role in chosen
    ]
    if as_json:
        click.echo(msgspec.json.encode(users))
        return
    for user in users:
        click.echo(user.line(aclfile=aclfile))
    absent = NO_PASSWORD if aclfile else PASSWORDS_STAY
    for user in users:
        click.echo(f"{user.name}: {RIGHTS[user.role].purpose}.", err=True)
        if user.password:
            click.echo(f"  Its password, shown this once: {user.password}", err=True)
        elif user.role not in given:
            click.echo(f"  {absent}", err=True)


def needed_by(url: str | None) -> Iterator[str]:
    """Yield the commands that an address of Redis needs: to be told who has which slots of a
    cluster, to follow a slot on its way, and to choose a database that is not the first.
    """
    parts = urlsplit(url or "")
    if is_cluster(url):
        yield "cluster|slots"
        yield "asking"
    database = parse_qs(parts.query).get("db", [parts.path.rpartition("/")[2]])[0]
    if database.isdigit() and int(database):
        yield "select"


def _read_passwords(given: tuple[str, ...], roles: tuple[Role, ...]) -> dict[Role, str]:
    """Read the files of passwords, each named for a role.

    Raises
    ------
    BadData
        If a file cannot be read, or its password is too short or has several lines.
    """
    found: dict[Role, str] = {}
    for text in given:
        name, _, path = text.partition("=")
        role = next((one for one in roles if one == name), None)
        if role is None or not path:
            raise click.BadParameter(
                f"{text!r} is not ROLE=FILE; ROLE is one of {', '.join(roles)}.",
                param_hint="--password-file",
            )
        try:
            password = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadData(f"{path}, the password of {role}, cannot be read: {error}.") from error
        if len(password) < LEAST_CHARACTERS or len(password.split()) != 1:
            raise BadData(
                f"{path} must hold one password of at least {LEAST_CHARACTERS} characters, without "
                f"spaces; `driftgauge redis acl --generate` makes one."
            )
        found[role] = password
    return found
