"""The policy on which workers agree."""

import logging
import os
from pathlib import Path

import pytest
import redis

from driftgauge.consumer.policies.agreement import Policies
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.policies.agreed import refused_in

OLD = 1_700_000_000


def policy(warning: float) -> str:
    return f"[default]\npsi_warning = {warning}\n"


def write(path: Path, text: str, at: int) -> None:
    path.write_text(text)
    os.utime(path, (at, at))


class Host:
    """A worker's host with its own policy file."""

    def __init__(
        self, client: redis.Redis, keys: Keys, folder: Path, name: str, *, file: bool = True
    ) -> None:
        self._client = client
        self.path = folder / f"{name}.toml"
        if file:
            write(self.path, policy(0.5), OLD)
        self.policies = Policies(self.path if file else None, keys, name)

    def look(self, looks: int = 2) -> None:
        for _ in range(looks):
            self.policies.look(lambda _: self._client)

    @property
    def warning(self) -> float | None:
        found = self.policies.of("steel")
        return None if found is None else found.said.psi_warning


def test_the_newest_file_is_in_force_everywhere(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """A file that changes on one host comes into force on all, also where there is none; the older
    ones do not undo it.
    """
    one, two = (Host(client, keys, tmp_path, name) for name in ("one", "two"))
    none = Host(client, keys, tmp_path, "none", file=False)
    for host in (one, two, none):
        host.look()
    write(one.path, policy(0.3), OLD + 100)
    for host in (one, two, none, two, one):
        host.look()
    assert [host.warning for host in (one, two, none)] == [0.3, 0.3, 0.3]
    write(two.path, policy(0.2), OLD + 200)
    for _ in range(3):
        for host in (one, two, none):
            host.look()
    assert [host.warning for host in (one, two, none)] == [0.2, 0.2, 0.2]


def test_an_old_file_at_a_start_changes_nothing(
    client: redis.Redis, keys: Keys, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A host that was not updated follows what is in force, says so once, and what is saved there
    again comes into force.
    """
    one = Host(client, keys, tmp_path, "one")
    write(one.path, policy(0.3), OLD + 100)
    one.look(3)
    late = Host(client, keys, tmp_path, "late")
    late.look(5)
    assert (late.warning, one.warning) == (0.3, 0.3)
    told = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert [one.getMessage().partition(" is older")[0] for one in told] == [
        f"The policy file {late.path}"
    ]
    write(late.path, policy(0.5), OLD + 200)
    for _ in range(2):
        late.look()
        one.look()
    assert (late.warning, one.warning) == (0.5, 0.5)


def test_of_two_files_of_the_same_time_one_wins(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """Neither undoes the other again and again."""
    one, two = (Host(client, keys, tmp_path, name) for name in ("one", "two"))
    write(one.path, policy(0.3), OLD + 100)
    write(two.path, policy(0.2), OLD + 100)
    orders = set()
    for _ in range(4):
        for host in (one, two):
            host.look()
        orders.add((one.policies.order, two.policies.order))
    assert one.warning == two.warning
    assert len(orders) <= 2


def test_a_redis_that_lost_it_gets_it_again(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """What is in force goes on meanwhile, and stands in Redis at the next look."""
    one = Host(client, keys, tmp_path, "one")
    none = Host(client, keys, tmp_path, "none", file=False)
    one.look()
    none.look()
    client.delete(keys.policy)
    none.look()
    assert none.warning == 0.5
    one.look()
    assert client.exists(keys.policy)
    assert one.warning == 0.5


@pytest.mark.parametrize(
    "packed", [b"", b"{", b'{"origin":{"written":1,"digest":"a","who":"x"},"policy":{"new":1}}']
)
def test_a_policy_of_another_release_changes_nothing(
    client: redis.Redis,
    keys: Keys,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    packed: bytes,
) -> None:
    """What cannot be used is said once, and the policy before goes on; at a start, the own file."""
    one = Host(client, keys, tmp_path, "one")
    one.look()
    client.hset(keys.policy, mapping={"order": f"{OLD * 2000} ff", "policy": packed})
    one.look(3)
    assert one.warning == 0.5
    assert (
        sum("cannot be used by this release" in each.getMessage() for each in caplog.records) == 1
    )
    start = Host(client, keys, tmp_path, "start")
    start.look()
    assert start.warning == 0.5


def test_what_is_refused_is_told(client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    """Redis has each worker's file with line and reason, until it is mended or the worker ends."""
    one, two = (Host(client, keys, tmp_path, name) for name in ("one", "two"))
    for host in (one, two):
        host.look()

    def told() -> list[str]:
        fields: dict[bytes, bytes] = client.hgetall(keys.policy_files)  # type: ignore[assignment]
        return refused_in(fields, server_ms(client))

    assert told() == []
    write(one.path, "[default]\npsi_warning = 'much'", OLD + 100)
    one.look()
    (words,) = told()
    assert "one.toml is refused, line 2: default.psi_warning: Expected `float" in words
    write(one.path, policy(0.4), OLD + 200)
    one.look()
    assert told() == []
    assert client.hlen(keys.policy_files) == 2
    for host in (one, two):
        host.policies.leave(client)
    assert not client.exists(keys.policy_files)


ROUTE = """
[[routes]]
name = "on-call"
target = { type = "webhook", url = "http://127.0.0.1:9/" }
"""


def test_a_host_that_is_outvoted_gives_its_routes_up_at_once(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """Not when it next tells of its file: until then a changed route would go by its old words. It
    serves them again when nobody has the newer file.
    """
    one, two = (Host(client, keys, tmp_path, name) for name in ("one", "two"))
    write(two.path, policy(0.3) + ROUTE, OLD + 100)
    for host in (one, two, one, two):
        host.look()
    assert set(two.policies.routes) == {"on-call"}
    write(one.path, policy(0.2), OLD + 200)
    one.look()
    two.look(1)
    assert two.policies.routes == {}
    one.policies.leave(client)
    two.policies._told_s = -1e9
    two.look(1)
    assert set(two.policies.routes) == {"on-call"}
