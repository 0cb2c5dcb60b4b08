"""TLS on the way to Redis: certificates of real servers, and what is said of unfitting ones."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import redis

from driftgauge.shared.connections.redis_client import connect, connect_async, require
from driftgauge.shared.connections.tls import Untrusted
from driftgauge.shared.errors import ConfigurationError
from tests.shared.connections.certificates import Authority
from tests.shared.connections.secured import Secured, secured, secured_sentinel

pytestmark = pytest.mark.anyio
Ping = Callable[[str], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured")) as found:
        yield found


@pytest.fixture(params=["blocking", "asyncio"])
def ping(request: pytest.FixtureRequest) -> Ping:
    """Ask a server by a client of either kind."""

    async def asked(url: str) -> None:
        if request.param == "blocking":
            with connect(url) as client:
                client.ping()
        else:
            async with connect_async(url) as client_async:
                await client_async.ping()

    return asked


async def test_own_authority_and_client_certificate(server: Secured, ping: Ping) -> None:
    """They stand in the address, of a server and of its Sentinels."""
    await ping(f"rediss://localhost:{server.port}?{server.query}")


async def test_what_nobody_waits_for_is_closed_at_once(server: Secured) -> None:
    """The socket of a connection that failed is closed with it, and not when the server has
    answered to the end of TLS.
    """
    async with connect_async(f"rediss://localhost:{server.port}?{server.query}") as client:
        connection = await client.connection_pool.get_connection()
        plain = connection._writer.get_extra_info("socket")
        assert plain.fileno() >= 0
        await connection.disconnect(nowait=True)
        await asyncio.sleep(0)
        assert plain.fileno() == -1
        await client.connection_pool.release(connection)


async def test_sentinels_by_tls(server: Secured, tmp_path: Path, ping: Ping) -> None:
    """The same files hold for Sentinels and servers; what fails of TLS with a Sentinel is said."""
    with secured_sentinel(tmp_path, server) as port:
        await ping(f"rediss+sentinel://127.0.0.1:{port}/main?{server.query}")
        with pytest.raises(redis.ConnectionError, match=r"not known here.*ssl_ca_certs=FILE"):
            await ping(f"rediss+sentinel://127.0.0.1:{port}/main")
    for scheme, option in (("redis", "ssl_ca_certs"), ("rediss", "tls")):
        with pytest.raises(ConfigurationError, match="unknown option"):
            connect(f"{scheme}+sentinel://a/main?{option}={server.authority.path}")


@pytest.mark.parametrize(
    ("host", "options", "said"),
    [
        ("localhost", "ssl_certfile={0}&ssl_keyfile={1}", "not known here .*ssl_ca_certs=FILE"),
        (
            "127.0.0.2",
            "ssl_ca_certs={2}&ssl_certfile={0}&ssl_keyfile={1}",
            "of another host .*'127",
        ),
        ("localhost", "ssl_ca_certs={2}", "certificate of the client .*ssl_certfile=FILE"),
        (
            "localhost",
            "ssl_ca_certs={2}&ssl_certfile={3}&ssl_keyfile={4}",
            "none that it trusts.*ssl_certfile=FILE",
        ),
    ],
    ids=["unknown authority", "another host", "no certificate", "a stranger's certificate"],
)
async def test_what_does_not_fit_is_said(
    server: Secured, tmp_path: Path, ping: Ping, host: str, options: str, said: str
) -> None:
    """What failed, where, and what to do; it is no server that is not there."""
    strange = Authority(tmp_path, "theirs").issue("stranger")
    query = options.format(*server.certificate, server.authority.path, *strange)
    url = f"rediss://{host}:{server.port}?{query}"
    with pytest.raises(Untrusted, match=rf"Redis at {host}:{server.port} cannot be used: .*{said}"):
        await ping(url)
    with connect(url) as client, pytest.raises(ConfigurationError, match="cannot be used"):
        require(client, url)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs=/nowhere/ca.pem must be .*No such file"),
        ("ssl_ca_certs={1}", "must be certificates of authorities"),
        ("ssl_certfile={0}&ssl_keyfile={2}", "must be a certificate and its key"),
        ("ssl_keyfile={1}", "ssl_keyfile without ssl_certfile"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path: Path, options: str, said: str) -> None:
    """At once, as a setting, and not as a Redis that does not answer."""
    authority = Authority(tmp_path, "ours")
    certificate, key = authority.issue("client")
    _, other = authority.issue("other")
    for make in (connect, connect_async):
        with pytest.raises(ConfigurationError, match=said):
            make(f"rediss://a?{options.format(certificate, key, other)}")
