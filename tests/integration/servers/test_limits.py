"""Servers that allow or tell less than Redis does by itself, as managed services do."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from driftgauge.__main__ import cli
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import deployment
from driftgauge.shared.local.embedded_redis import find_server
from tests.integration.plant import wait_for
from tests.integration.servers.counted import Deployment
from tests.shared.local.servers import ServerOf
from tests.shared.rights.recording import Line

FORBIDDEN = ("CONFIG", "DEBUG", "CLIENT", "ACL", "MONITOR", "FLUSHALL", "KEYS", "SCRIPT", "EVAL")
NO_RUN_ID = "Redis does not tell its run_id"
NO_POLICY = "Redis does not tell its maxmemory-policy"


@dataclass(frozen=True)
class Limit:
    """What a server does not allow or tell.

    Parameters
    ----------
    renamed
        Commands that are renamed away.
    rule
        Rule that takes a right from everybody.
    hidden
        Text that its answers lack.
    said
        What the worker says once.
    """

    renamed: tuple[str, ...] = ()
    rule: str = ""
    hidden: bytes = b""
    said: tuple[str, ...] = ()


LIMITS = {
    "commands renamed away": Limit(renamed=FORBIDDEN),
    "INFO renamed away": Limit(renamed=(*FORBIDDEN, "INFO"), said=(NO_RUN_ID, NO_POLICY)),
    "no right to INFO": Limit(rule="-info", said=(NO_RUN_ID, NO_POLICY)),
    "no run_id": Limit(hidden=b"run_id:", said=(NO_RUN_ID,)),
}
WORST = "INFO renamed away"
"""The one of the quick suite, with 4 s of a core for an API and a worker, over a kill."""


@contextmanager
def limited(folder: Path, limit: Limit) -> Iterator[tuple[ServerOf, str]]:
    """Run such a server; give it and the address by which it is limited."""
    with ExitStack() as stack:
        options = [word for name in limit.renamed for word in ("--rename-command", name, "")]
        if limit.rule:
            users = folder / "users.acl"
            users.write_text(f"user default on nopass ~* &* +@all {limit.rule}\n")
            options += ["--aclfile", str(users)]
        server = stack.enter_context(ServerOf(folder / "redis", find_server(), *options))
        if not limit.hidden:
            yield server, server.url
            return
        line = stack.enter_context(Line(server.socket, limit.hidden))
        yield server, f"redis://127.0.0.1:{line.port}"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == WORST else pytest.mark.long) for name in LIMITS]
)
def test_counts_stay_exact_and_one_word_says_what_is_missing(
    tmp_path: Path, keys: Keys, name: str
) -> None:
    """Also over a kill of the server. API and worker say once what they are not told, and what that
    means; the API is ready; the doctor takes nothing that is not told for a fault.
    """
    limit = LIMITS[name]
    with limited(tmp_path, limit) as (server, url), connect(server.url) as admin:
        run = Deployment(tmp_path, url, keys)
        with run.running() as http:
            run.restart(server, http, admin)
            wait_for(lambda: http.get("/readyz").is_success, "the API")
        for said in (NO_RUN_ID, NO_POLICY):
            assert run.log_of("worker").count(said) == (said in limit.said)
        assert run.log_of("api").count(NO_RUN_ID) == (NO_RUN_ID in limit.said)
        assert "Traceback" not in run.log_of("api") + run.log_of("worker")
        environment = deployment.environment(run.settings)
        done = CliRunner().invoke(cli(), ["doctor", "--json"], env=environment)
        checks = json.loads(done.stdout)["checks"]
        found = {one["name"]: one["state"] for one in checks if one["name"].startswith("Redis")}
        assert "wrong" not in {state.lower() for state in found.values()}, checks
