"""`driftgauge redis acl`."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from driftgauge.__main__ import cli
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.embedded_redis import find_server
from driftgauge.shared.rights.table import ROLES
from tests.integration.plant import wait_for
from tests.shared.local.servers import ServerOf

PASSWORD = "correct-horse-battery"  # noqa: S105  of these tests only


def acl(*arguments: str, prefix: str = "dg", url: str = "redis://nowhere") -> Result:
    environment = {"DRIFTGAUGE_KEY_PREFIX": prefix, "DRIFTGAUGE_REDIS_URL": url}
    return CliRunner().invoke(cli(), ["redis", "acl", *arguments], env=environment)


def names(client: redis.Redis, prefix: str) -> Sequence[str]:
    return [one for one in client.acl_users() if one.startswith(prefix)]


def test_redis_takes_the_lines_as_they_are(redis_url: str, client: redis.Redis, keys: Keys) -> None:
    """Each line is a command of redis-cli that makes a user of the key prefix, who can log in with
    the password that was shown, and may do nothing under another prefix. Made again, the user keeps
    its password.
    """
    done = acl("--generate", prefix=keys.prefix)
    lines = done.stdout.splitlines()
    assert [line.split()[2] for line in lines] == [f"{keys.prefix}-{role}" for role in ROLES]
    passwords = [line.split()[-1] for line in done.stderr.splitlines() if "password" in line]
    assert len(set(passwords)) == len(ROLES)
    assert not any(password in done.stdout for password in passwords)
    again = acl("--release", "6.2", prefix=keys.prefix).stdout.splitlines()
    for text in (lines, again):
        for line in text:
            assert client.execute_command(*line.split())
        user = connect(redis_url, username=f"{keys.prefix}-api", password=passwords[0])
        with user:
            assert user.smembers(keys.models) == set()
            for refused in ("SMEMBERS dg:models", "FLUSHALL", "ACL LIST", "CONFIG GET *"):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    user.execute_command(*refused.split())
    client.acl_deluser(*names(client, keys.prefix))


def test_redis_starts_with_the_lines_as_its_aclfile(tmp_path: Path) -> None:
    """With the password of a file, of which they hold the hash."""
    secret, users = tmp_path / "secret", tmp_path / "users.acl"
    secret.write_text(f"{PASSWORD}\n")
    done = acl("--aclfile", "--role", "worker", "--password-file", f"worker={secret}")
    assert PASSWORD not in done.output
    assert len(done.stdout.splitlines()) == 1
    users.write_text(done.stdout)

    with (
        ServerOf(tmp_path / "redis", find_server(), "--aclfile", str(users)) as server,
        connect(server.url, username="dg-worker", password=PASSWORD) as client,
    ):
        wait_for(client.time, "the user")


def test_a_cluster_and_a_database_need_a_right_more() -> None:
    """The address says which."""
    plain = acl("--role", "api").stdout
    assert "cluster" not in plain
    assert "+select" not in plain
    ways = " +cluster|slots +asking\n"
    assert acl("--role", "api", url="rediss+cluster://a:1").stdout.endswith(ways)
    for url in ("redis://a/2", "redis+sentinel://a/main/2", "unix:///run/redis.sock?db=2"):
        assert acl("--role", "api", url=url).stdout.endswith(" +select\n")


def test_json_has_a_generated_password_and_no_other(tmp_path: Path) -> None:
    """So that a program can take it; one that was given is not told."""
    (made,) = json.loads(acl("--json", "--generate", "--role", "bridge").stdout)
    assert (made["name"], len(made["password"])) == ("dg-bridge", 43)
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD)
    given = acl("--json", "--role", "bridge", "--password-file", f"bridge={secret}")
    assert "password" not in json.loads(given.stdout)[0]


@pytest.mark.parametrize("content", ["short", "two words of a sentence", ""])
def test_a_weak_password_is_refused(tmp_path: Path, content: str) -> None:
    """It says what to do, and does not repeat the password."""
    secret = tmp_path / "secret"
    secret.write_text(content)
    done = acl("--password-file", f"api={secret}")
    assert isinstance(done.exception, BadData)
    assert "--generate" in str(done.exception)
    assert not content or content not in str(done.exception)


def test_options_that_say_nothing_are_refused(tmp_path: Path) -> None:
    """With what was expected."""
    absent = acl("--password-file", f"api={tmp_path / 'absent'}")
    assert isinstance(absent.exception, BadData)
    assert "cannot be read" in str(absent.exception)
    assert "ROLE is one of api," in acl("--password-file", "nobody=x").output
    assert "Choose one" in acl("--generate", "--password-file", "api=x").output
