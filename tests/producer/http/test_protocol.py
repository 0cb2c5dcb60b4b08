import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from uvicorn.server import ServerState

from driftgauge.producer.http import connections
from driftgauge.producer.http.connections import Connections, room_for
from driftgauge.producer.http.protocol import (
    ANSWER_S,
    BODY_S,
    HEAD_S,
    LINGER_BYTES,
    LINGER_S,
    MOST_FIELDS,
    BoundedProtocol,
)
from driftgauge.shared.settings import Settings
from tests.producer.conftest import GOOD, api_process, until

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
HALF = b"GET / HTTP/1.1\r\nHost: loc"
App = Callable[..., Awaitable[None]]


class Asked:
    """An app that reads the body, notes what it was asked, and answers."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[bytes, bytes], bytes]] = []
        self.gone = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.go_on.wait()
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return
            body, more = body + message["body"], message["more_body"]
        self.seen.append((dict(scope["headers"]), body))
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


class Clock:
    """A clock that a test sets forward, so that no promise depends on how fast a machine is."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.looks = 0

    async def forward(self, seconds: float) -> None:
        """Set the clock forward, and wait until it was looked at."""
        self.ahead += seconds
        before = self.looks
        await until(lambda: self.looks > before + 1)


@asynccontextmanager
async def served(app: App, bounds: Connections, clock: Clock | None = None) -> AsyncIterator[int]:
    """A server of the app on a port, that looks at what is overdue all the time."""
    clock = clock or Clock()
    loop = asyncio.get_running_loop()
    config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None)
    state = ServerState()

    def connect() -> BoundedProtocol:
        return BoundedProtocol(config, state, {}, loop, bounds=bounds, trusted=())

    async def watch() -> None:
        while True:
            bounds.end_overdue(loop.time() + clock.ahead)
            clock.looks += 1
            await asyncio.sleep(0.01)

    server = await loop.create_server(connect, "127.0.0.1", 0)
    watching = asyncio.create_task(watch())
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        watching.cancel()
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()


@asynccontextmanager
async def connected(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ask(port: int, request: bytes) -> bytes:
    """What the server answers until it ends the connection, or has sent an answer of the app."""
    async with connected(port) as (reader, writer):
        writer.write(request)
        return await answer(reader)


async def answer(reader: asyncio.StreamReader) -> bytes:
    found = b""
    try:
        async with asyncio.timeout(10):
            while not found.endswith(b"\r\n\r\nok") and (more := await reader.read(65536)):
                found += more
    except ConnectionError:  # it was cut off while it still sent
        return found
    return found


def problem_of(answered: bytes, status: int) -> str:
    head, _, body = answered.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answered[:200]
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert b"nosniff" in head
    document = json.loads(body)
    assert document["status"] == status
    return str(document["detail"])


async def test_a_head_has_bounds_which_no_app_sees_beyond() -> None:
    """Too many fields, too large fields, a URL or a trailer without end: 431, before anything is
    asked of the app; just within the bounds it is served.
    """
    app, bounds = Asked(), Connections(10)
    async with served(app, bounds) as port:
        fits = b"".join(b"X-%d: 1\r\n" % at for at in range(MOST_FIELDS - 1))
        assert (await ask(port, GET[:-2] + fits + b"\r\n")).endswith(b"ok")
        assert (await ask(port, GET[:-2] + b"X: " + b"x" * 32000 + b"\r\n\r\n")).endswith(b"ok")
        assert len(app.seen) == 2
        many = b"".join(b"X-%d: 1\r\n" % at for at in range(MOST_FIELDS))
        assert "fields" in problem_of(await ask(port, GET[:-2] + many + b"\r\n"), 431)
        problem_of(await ask(port, GET[:-2] + b"X: " + b"x" * 40000 + b"\r\n\r\n"), 431)
        problem_of(await ask(port, b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\n\r\n"), 431)
        chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
        await ask(port, chunked + b"X: " + b"x" * 300_000)
        assert bounds.refused["large_head"] == 4
        assert len(app.seen) == 2


async def test_a_head_without_end_is_not_read_to_its_end() -> None:
    """Of 64 MB of headers the server takes little more than the bound, and then no more."""
    app, bounds = Asked(), Connections(10)
    async with served(app, bounds) as port, connected(port) as (_, writer):
        sent = 0
        writer.write(GET[:-2])
        with suppress(ConnectionError):
            while sent < 64 << 20:
                writer.write(b"X: " + b"x" * 65000 + b"\r\n")
                await writer.drain()
                sent += 65000
        assert sent < LINGER_BYTES + (8 << 20)  # what the kernels hold comes on top
        assert not app.seen


async def test_fields_of_a_trailer_are_no_headers() -> None:
    """A key, an origin or a forwarded address that comes after the body counts for nothing."""
    app = Asked()
    async with served(app, Connections(10)) as port:
        request = POST + b"Transfer-Encoding: chunked\r\nX-Before: 1\r\n\r\n1\r\nx\r\n0\r\n"
        trailer = b"Authorization: Bearer k\r\nOrigin: http://evil\r\nX-Forwarded-For: 1.1.1.1\r\n"
        assert (await ask(port, request + trailer + b"\r\n")).endswith(b"ok")
        ((fields, body),) = app.seen
        assert body == b"x"
        assert fields.keys() == {b"host", b"transfer-encoding", b"x-before"}


async def test_who_owes_the_rest_of_a_head_is_ended() -> None:
    """Half a head is 408 after a while, on a new connection and on a used one, whether bytes still
    come or not; a connection that never sent anything is closed.
    """
    bounds, clock = Connections(10), Clock()
    async with served(Asked(), bounds, clock) as port:
        async with connected(port) as (reader, writer):
            writer.write(HALF)
            await until(lambda: has_sent(bounds, len(HALF)))
            await clock.forward(HEAD_S + 1)
            problem_of(await answer(reader), 408)
        async with connected(port) as (reader, _):
            await until(lambda: bounds.heads)
            await clock.forward(HEAD_S + 1)
            assert await answer(reader) == b""
        clock.ahead = 0
        async with connected(port) as (reader, writer):
            writer.write(GET)
            assert (await answer(reader)).endswith(b"ok")
            for _ in range(3):
                writer.write(b"\r\n")  # which begins no message
            await until(lambda: bounds.heads)
            await clock.forward(HEAD_S + 1)
            problem_of(await answer(reader), 408)
        assert bounds.refused == {"slow_head": 2}
        await until(lambda: bounds.count == 0)


def has_sent(bounds: Connections, size: int) -> bool:
    """Whether a connection has sent so many bytes of its head."""
    return any(cast(BoundedProtocol, one)._fed >= size for one in bounds.heads)


async def test_who_owes_the_rest_of_a_body_is_ended() -> None:
    """A body that comes too slowly is 408, and the app learns that its client has gone; while it is
    the app that does not read, nobody is blamed.
    """
    app, bounds, clock = Asked(), Connections(10), Clock()
    async with served(app, bounds, clock) as port:
        async with connected(port) as (reader, writer):
            writer.write(POST + b"Content-Length: 9\r\n\r\n12")
            await until(lambda: bounds.watched)
            await clock.forward(BODY_S + 1)
            problem_of(await answer(reader), 408)
        await until(lambda: app.gone == 1)
        clock.ahead = 0
        app.go_on.clear()
        large = b"x" * 300_000
        request = POST + b"Content-Length: %d\r\n\r\n" % len(large) + large
        waiting = asyncio.create_task(ask(port, request))
        await until(
            lambda: any(cast(BoundedProtocol, one).flow.read_paused for one in bounds.watched)
        )
        for _ in range(3):
            await clock.forward(BODY_S + 1)
        app.go_on.set()
        assert (await waiting).endswith(b"ok")
        assert app.seen[0][1] == large
        assert bounds.refused == {"slow_body": 1}


async def test_who_does_not_read_is_ended() -> None:
    """A client that takes nothing of its answer holds a connection for a while and no longer; nor
    one that goes on to send after it was answered.
    """
    bounds, clock = Connections(10), Clock()

    async def endless(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(10_000):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

    async with served(endless, bounds, clock) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(GET)
            await until(lambda: bounds.watched)
            await clock.forward(ANSWER_S + 1)
            await until(lambda: bounds.refused["slow_reader"])

    async def early(_: Any, __: Any, send: Any) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    clock.ahead = 0
    async with served(early, bounds, clock) as port, connected(port) as (reader, writer):
        writer.write(POST + b"Content-Length: 1000000\r\n\r\nxx")
        assert b" 413 " in await answer(reader)
        await clock.forward(LINGER_S + 1)
        await until(lambda: bounds.refused["slow_body"])


async def test_what_comes_while_an_answer_is_under_way_is_bounded() -> None:
    """A head without end behind a request whose answer takes long is not kept; a body that follows
    such a request has its whole time.
    """
    app, bounds, clock = Asked(), Connections(10), Clock()
    async with served(app, bounds, clock) as port:
        app.go_on.clear()
        async with connected(port) as (reader, writer):
            writer.write(GET + GET[:-2] + b"X: ")
            for _ in range(3):
                writer.write(b"x" * 20_000)
                await asyncio.sleep(0.01)
            await answer(reader)
            assert bounds.refused == {"large_head": 1}
        app.go_on.set()
        async with connected(port) as (reader, writer):
            app.go_on.clear()
            writer.write(GET)
            await until(lambda: bounds.count == 1 and not bounds.heads)
            await clock.forward(BODY_S + 1)
            writer.write(POST + b"Content-Length: 2\r\n\r\n1")
            await clock.forward(BODY_S / 2)
            writer.write(b"2")
            app.go_on.set()
            await until(lambda: [body for _, body in app.seen] == [b"", b"12"])
        assert bounds.refused == {"large_head": 1}


async def test_a_whole_request_is_served_at_the_bound() -> None:
    """With every connection taken by half-sent requests a whole one is served, again and again; an
    idle one goes if there is no half-sent one; only if all are at work a new one is refused.
    """
    app, bounds = Asked(), Connections(5)
    async with served(app, bounds) as port, AsyncExitStack() as stack:

        async def one(request: bytes) -> asyncio.StreamReader:
            reader, writer = await stack.enter_async_context(connected(port))
            writer.write(request)
            return reader

        for _ in range(20):
            await one(HALF)
        await until(lambda: bounds.count == 5)
        for _ in range(5):
            assert (await answer(await one(GET))).endswith(b"ok")
        assert bounds.count == 5
        assert len(bounds.heads) == 0
        assert (await answer(await one(GET))).endswith(b"ok")  # in the place of an idle one
        app.go_on.clear()
        waiting = [await one(GET) for _ in range(5)]
        await until(lambda: not bounds.idle)
        problem_of(await answer(await one(GET)), 503)
        app.go_on.set()
        assert all([(await answer(reader)).endswith(b"ok") for reader in waiting])


async def test_requests_in_a_row_and_nonsense() -> None:
    """Pipelined requests are answered in their order, in one read or in several; what is no HTTP
    gets a problem document.
    """
    app, bounds = Asked(), Connections(5)
    async with served(app, bounds) as port:
        post = POST + b"Content-Length: 1\r\n\r\n"
        found = await ask(port, post + b"1" + post + b"2" + GET[:-2] + b"Connection: close\r\n\r\n")
        assert found.count(b"HTTP/1.1 200") in {1, 2, 3}
        await until(lambda: [body for _, body in app.seen] == [b"1", b"2", b""])
        async with connected(port) as (reader, writer):
            for part in (post, b"3", post[:20], post[20:] + b"4"):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)
            await until(lambda: [body for _, body in app.seen][3:] == [b"3", b"4"])
            assert b"200" in await answer(reader)
            await until(lambda: list(bounds.idle))
        problem_of(await ask(port, b"nonsense\r\n\r\n"), 400)
        problem_of(await ask(port, b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"), 400)


def test_one_address_has_half_and_proxies_have_all() -> None:
    """An address beyond its share is refused, and others are not; this machine, and a trusted proxy
    for others, have no share of their own. Whoever leaves makes room.
    """
    bounds = Connections(4)
    assert [bounds.admit("203.0.113.7") for _ in range(2)] == [None, None]
    refused = bounds.admit("203.0.113.7")
    assert refused is not None
    assert (refused.status, bounds.count) == (429, 2)
    assert [bounds.admit(site) for site in ("", "198.51.100.1")] == [None, None]
    full = bounds.admit("")
    assert full is not None
    assert full.status == 503
    bounds.leave(object(), "203.0.113.7")  # type: ignore[arg-type]  # one that it never listed
    assert bounds.admit("203.0.113.7") is None


def test_connections_stay_below_the_limit_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are fewer connections than files, however few those are, and never more than wanted."""
    for soft, fit in ((1024, 768), (64, 48), (100_000, 4096), (-1, 4096)):
        limit = (soft, soft)
        monkeypatch.setattr(connections.resource, "getrlimit", lambda _, limit=limit: limit)
        assert room_for(4096) == fit


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def status(http: httpx.AsyncClient, path: str) -> int:
    """How a stream begins that is opened for a moment."""
    async with http.stream("GET", path) as answer:
        await asyncio.sleep(0.5)
        return answer.status_code


@pytest.mark.usefixtures("linear")
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
async def test_slow_clients_and_followers_leave_room_for_others(
    settings: Settings, tmp_path: Path
) -> None:
    """Beside far more half-sent requests than there is room for, predictions are made; a follower
    of alerts costs one open file, and all that there is room for leave the others theirs.
    """
    settings = settings.model_copy(update={"max_connections": 48})
    with api_process(settings, tmp_path) as (url, process), ExitStack() as stack:
        address = urlsplit(url)
        for _ in range(150):
            half = stack.enter_context(socket.create_connection((address.hostname, address.port)))
            half.sendall(HALF)
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=12) as http:

            async def predict() -> int:
                return (await http.post("/predict", json={"features": GOOD})).status_code

            assert await predict() == 200
            files = open_files(process.pid)
            async with AsyncExitStack() as streams:
                lines = []
                for _ in range(12):
                    stream = http.stream("GET", "/alerts/stream", headers={"Connection": "close"})
                    follower = await streams.enter_async_context(stream)
                    assert follower.status_code == 200
                    lines.append(follower.aiter_lines())
                    assert await anext(lines[-1]) == ": following"
                for path in ("/alerts/stream", "/dashboard/events"):
                    opened = await asyncio.gather(*(status(http, path) for _ in range(14)))
                    assert opened.count(503) == 14 - (0 if path == "/alerts/stream" else 12)
                assert await predict() == 200
                assert open_files(process.pid) <= files + 4  # in the place of half-sent requests
            metrics = (await http.get("/metrics")).text
            assert 'driftgauge_connections_refused_total{reason="no_room"}' in metrics
