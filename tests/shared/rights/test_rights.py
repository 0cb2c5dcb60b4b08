"""The rights of each role, held against all that real processes ask of a real Redis."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis

from benchmarks.fuzzing import routes_of
from driftgauge.producer.app import create_app
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.rights.acl import Release, digest_rule, rules, user_name
from driftgauge.shared.rights.table import ROLES, Role
from driftgauge.shared.settings import Settings
from tests.consumer.notifying.sink import http_sink
from tests.producer.replication import pair
from tests.shared.rights.exercise import Exercise
from tests.shared.rights.recording import Command, Line

KEYS = Keys("own:dg")
PASSWORD = "a password of the test"  # noqa: S105  of this server only
SUBCOMMANDS = {"XGROUP", "XINFO", "CLUSTER", "CLIENT"}
FREE = {"AUTH", "HELLO"}
"""Commands that every user may send."""


@dataclass(frozen=True)
class Recorded:
    """What a run left behind.

    Parameters
    ----------
    commands
        The commands of each role, one of each kind.
    refused
        Who was refused what.
    """

    commands: Mapping[Role, Sequence[Command]]
    refused: list[tuple[str, str]]


def kind(command: Command) -> tuple[str, ...]:
    """Return what is alike in commands that need the same rights: name and kinds of keys."""
    name = command[0].decode().upper()
    if name in SUBCOMMANDS:
        name += f"|{command[1].decode().upper()}"
    prefix = f"{KEYS.prefix}:".encode()
    found = {arg.decode() for arg in command[1:] if arg.startswith(prefix)}
    return name, *sorted({re.sub(r"[0-9a-f]{32}|\d+", "*", key) for key in found})


@contextmanager
def deployed(folder: Path) -> Iterator[tuple[Exercise, Mapping[Role, Line]]]:
    """A deployment whose processes are users with exactly the rights of the table."""
    with ExitStack() as stack:
        primary, replica = stack.enter_context(pair(folder))
        replica.follow(primary.port)
        admin = primary.client
        release: Release = "7" if has_selectors(admin) else "6.2"
        lines = {role: stack.enter_context(Line(primary.server.socket)) for role in ROLES}
        urls = {}
        for role, line in lines.items():
            name = user_name(KEYS.prefix, role)
            make(admin, name, [digest_rule(PASSWORD), *rules(role, KEYS.prefix, release)])
            urls[role] = f"redis://{quote(name)}:{quote(PASSWORD)}@127.0.0.1:{line.port}"
        sink = stack.enter_context(http_sink())
        yield Exercise(folder, KEYS, urls, (primary, replica), sink), lines


def told(admin: redis.Redis) -> list[tuple[str, str]]:
    """Return who was refused what, by the log of the server."""
    found: Any = admin.acl_log()
    return [(one["username"], one["object"]) for one in found]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Let everything happen, once for all tests: no smaller run sends all commands."""
    folder = tmp_path_factory.mktemp("rights")
    with deployed(folder) as (exercise, lines):
        url = exercise.primary.url
        exercise.run(routes_of(create_app(Settings(redis_url=url, data_dir=folder / "none"))))
        refused = told(exercise.admin)
    return Recorded({role: _kinds(line.commands) for role, line in lines.items()}, refused)


def _kinds(commands: Sequence[Command]) -> list[Command]:
    return [*{kind(one): one for one in commands if one[0].decode() not in FREE}.values()]


def make(admin: redis.Redis, name: str, given: Sequence[str]) -> None:
    admin.execute_command("ACL", "SETUSER", name, "reset", *given)


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("trial")) as server, connect(server.url) as client:
        if not has_selectors(client):
            pytest.skip("this server has no ACL DRYRUN")
        yield client


def has_selectors(client: redis.Redis) -> bool:
    """Tell whether a server knows reading from writing: Redis 6.2 does not."""
    told: Any = client.info("server")
    return int(told["redis_version"].partition(".")[0]) >= 7


def test_api_and_worker_work_with_their_rights(tmp_path: Path) -> None:
    """Predictions, labels, alerts, reports, commands and pages: Redis refuses nothing. It takes 4 s
    of a core, for an API and a worker.
    """
    with deployed(tmp_path) as (exercise, _):
        exercise.run_briefly()
        assert told(exercise.admin) == []


@pytest.mark.long
def test_nothing_is_refused(recorded: Recorded) -> None:
    """API, worker, bridge and commands do all that they can do with the rights of the table."""
    assert recorded.refused == []


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
def test_no_right_is_spare(recorded: Recorded, admin: redis.Redis, role: Role) -> None:
    """Whichever right is taken away, of a command, of a key, of reading or writing it: something
    that was done cannot be done any more.
    """
    whole = rules(role, KEYS.prefix)
    assert not refused(admin, whole, recorded.commands[role])
    spare = [
        (gone, left)
        for gone, left in removals(whole)
        if not refused(
            admin, [one for one in (*whole, left) if one not in {gone, ""}], recorded.commands[role]
        )
    ]
    assert not spare, "\n".join(map(str, spare))


def removals(whole: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each right, and what is left of it when it is taken away."""
    for rule in whole:
        if rule.startswith("%RW~"):
            yield from ((rule, rule.replace("RW", one, 1)) for one in "RW")
        elif rule[0] in "%+":
            yield rule, ""


def refused(admin: redis.Redis, given: Sequence[str], commands: Sequence[Command]) -> list[Command]:
    """Return the commands that a user with these rules may not send."""
    make(admin, "trial", given)
    with admin.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command("ACL", "DRYRUN", "trial", *command)
        replies = pipe.execute()
    return [one for one, reply in zip(commands, replies, strict=True) if reply != b"OK"]


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
def test_the_rules_for_redis_6_allow_the_same(
    recorded: Recorded, admin: redis.Redis, role: Role
) -> None:
    """They have nothing that Redis 6.2 does not know, and allow all that was done."""
    given = rules(role, KEYS.prefix, "6.2")
    assert not [one for one in given if one.startswith(("%", "("))]
    assert not refused(admin, given, recorded.commands[role])
