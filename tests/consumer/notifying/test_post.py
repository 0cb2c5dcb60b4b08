"""One HTTP request of a target, against servers that are slow, break off, or lie."""

import logging
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from types import SimpleNamespace
from typing import Any

import httpcore
import pytest

from driftgauge.consumer.notifying import post as posting
from driftgauge.consumer.notifying.addresses import forbidden
from driftgauge.consumer.notifying.post import MOST_ANSWER, post, retry_after
from driftgauge.consumer.notifying.targets.base import Later, Refused
from tests.consumer.notifying.sink import Reply, Sink, http_sink

Serving = Callable[[socket.socket], None]
"""What a server does with a connection, after the request came in."""
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def served() -> Iterator[Sink]:
    with http_sink() as found:
        yield found


@pytest.fixture
def sink(served: Sink) -> Sink:
    served.clear()
    return served


@contextmanager
def server(serve: Serving, context: SSLContext | None = None) -> Iterator[str]:
    """Serve one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)

        def work() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.settimeout(60)
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                connection.recv(65_536)
                serve(connection)

        thread = threading.Thread(target=work)
        thread.start()
        scheme = "http" if context is None else "https"
        yield f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/hook"
        thread.join(60)
        assert not thread.is_alive()


def endlessly(*parts: bytes, pause_s: float = 0.0) -> Serving:
    """Send parts, the last one again and again until the other side has gone."""

    def serve(connection: socket.socket) -> None:
        for part in parts[:-1]:
            connection.sendall(part)
        while True:
            connection.sendall(parts[-1])
            time.sleep(pause_s)

    return serve


def sending(data: bytes) -> Serving:
    return lambda connection: connection.sendall(data)


def test_a_request_comes_as_it_is_sent(sink: Sink) -> None:
    """With method, path, headers and body; a user in the address is basic authentication."""
    address = sink.address.replace("http://", "http://ann:p%40ss@") + "/a?b=%20c"
    sink.answering = lambda _: Reply(202, b"taken")
    answer = post(address, b"{}", {"X-One": "1"}, method="PATCH")
    assert (answer.status, answer.body) == (202, b"taken")
    (found,) = sink.received
    assert (found.method, found.path, found.body) == ("PATCH", "/a?b=%20c", b"{}")
    assert (found.headers["x-one"], found.headers["authorization"]) == ("1", "Basic YW5uOnBAc3M=")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_status_of_success_is_one(sink: Sink, status: int) -> None:
    """Whatever stands in the body."""
    sink.answering = lambda _: Reply(status, b"" if status == 204 else b"error")
    assert post(sink.address, b"", {}).status == status


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422, 300, 301, 302, 307, 308])
def test_what_is_of_no_use_to_repeat_is_refused(sink: Sink, status: int) -> None:
    """Redirections too: they are not followed."""
    elsewhere = {"Location": f"{sink.address}/elsewhere"}
    sink.answering = lambda _: Reply(status, b"", elsewhere)
    with pytest.raises(Refused, match=f"status {status}") as refused:
        post(sink.address, b"", {})
    assert refused.value.status == status
    assert len(sink.received) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_be_taken_later_is_not_refused(sink: Sink, status: int) -> None:
    """With the time that the server asks for."""
    sink.answering = lambda _: Reply(status, b"", {"Retry-After": "17"})
    with pytest.raises(Later, match=f"status {status}") as later:
        post(sink.address, b"", {})
    assert later.value.after_s == 17
    assert later.value.maybe_taken is (status in {502, 504})


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("0", 0.0),
        ("3600", 3600.0),
        ("1.5", 1.5),
        ("Thu, 20 Nov 2025 12:00:30 GMT", 30.0),
        ("Thu, 20 Nov 2025 11:00:00 GMT", 0.0),
        ("Thursday, 20-Nov-25 12:00:30 GMT", 30.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("9" * 400, 1e20),
        ("\xb2", None),
        ("Thu, 20 Nov 99999 12:00:30 GMT", None),
    ],
)
def test_both_forms_of_retry_after(written: str, seconds: float | None) -> None:
    """Seconds and a date; whatever else it is, it is none."""
    found = retry_after({b"RETRY-AFTER": written.encode("latin-1")}, 1_763_640_000.0)
    assert found == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (sending(b""), "no HTTP, or breaks off"),
        (sending(b"SSH-2.0-OpenSSH_9.2\r\n"), "no HTTP, or breaks off"),
        (sending(bytes(range(256)) * 64), "no HTTP, or breaks off"),
        (sending(OK[:9]), "no HTTP, or breaks off"),
        (sending(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "no HTTP, or breaks off"),
        (endlessly(OK, b"X-Long: " + b"x" * 1000 + b"\r\n"), "no HTTP, or breaks off"),
        (endlessly(b"HTTP/1.1 100 Continue\r\n\r\n", pause_s=0.01), "no answer within 0.5 s"),
        (endlessly(OK, b"X", pause_s=0.05), "no answer within 0.5 s"),
    ],
)
def test_a_server_that_lies_is_asked_later(
    serve: Serving, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed early, other protocols, garbage, headers without end, a byte now and then: it ends,
    within the time and without much memory.
    """
    monkeypatch.setattr(posting, "WITHIN_S", 0.5)
    with server(serve) as address, pytest.raises(Later, match=re.escape(reason)) as later:
        post(address, b"{}", {})
    assert later.value.maybe_taken


def test_a_handshake_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends a byte of TLS now and then is left after the time too."""
    monkeypatch.setattr(posting, "WITHIN_S", 0.5)
    dripping = endlessly(b"\x16\x03\x03\x40\x00", b"\x00", pause_s=0.05)
    with server(dripping) as address, pytest.raises(Later, match=r"no answer within 0\.5 s"):
        post(address.replace("http:", "https:"), b"{}", {})


@pytest.mark.parametrize(
    "serve",
    [
        endlessly(OK + b"\r\n", b"x" * 65_536),
        endlessly(OK + b"\r\n", b"x", pause_s=0.05),
        sending(OK + b"Content-Length: 1000000\r\n\r\nbroken"),
        endlessly(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
        sending(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ],
)
def test_what_comes_after_the_status_takes_nothing_back(
    serve: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body without end, or one that breaks off, is read as far as is allowed."""
    monkeypatch.setattr(posting, "WITHIN_S", 0.5)
    with server(serve) as address:
        answer = post(address, b"{}", {})
    assert answer.status == 200
    assert len(answer.body) <= MOST_ANSWER


def test_nobody_there_is_asked_later() -> None:
    """A port without a server, and a name that leads nowhere."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(Later, match="no connection") as later:
        post(f"http://127.0.0.1:{port}/", b"", {})
    assert not later.value.maybe_taken
    with pytest.raises(Later, match="no connection"):
        post("http://no-such-host.invalid/", b"", {})


def test_a_certificate_that_nobody_signed_is_not_trusted(tmp_path: Path) -> None:
    """The message stays here."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -subj /CN=localhost"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")
    seen: list[bytes] = []
    serve: Serving = lambda connection: seen.append(connection.recv(10))  # noqa: E731
    with server(serve, context) as address, pytest.raises(Later, match="not trusted"):
        post(address, b"{}", {})
    assert seen == []


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "2852039166",
        "0xa9fea9fe",
        "0.0.0.0",  # noqa: S104  nothing is bound to it
        "224.0.0.1",
    ],
)
def test_link_local_and_metadata_addresses_are_refused(host: str) -> None:
    """However they are written."""
    with pytest.raises(Refused, match="to which nothing is sent"):
        post(f"http://{host}/latest/meta-data", b"", {})


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "8.8.8.8"])
def test_private_networks_are_the_operators_own(address: str) -> None:
    """A route of the policy file may lead there."""
    assert forbidden(address) == ""


def test_a_name_is_resolved_once_and_checked(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to a forbidden address is refused, if only with one of its addresses; the
    connection goes to what was checked, although the name leads elsewhere by then.
    """
    port = int(sink.address.rpartition(":")[2])
    answers = iter([["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1", "169.254.169.254"]])
    real = socket.getaddrinfo

    def resolve(host: str, *more: Any, **named: Any) -> Any:
        if host != "moving.example":
            return real(host, *more, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in next(answers)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    address = f"http://moving.example:{port}/"
    assert post(address, b"", {}).status == 200
    assert sink.received[0].headers["host"] == f"moving.example:{port}"
    for _ in range(2):
        with pytest.raises(Refused, match="to which nothing is sent"):
            post(address, b"", {})


@pytest.mark.parametrize(
    "address", ["", "ftp://host/x", "http://", "http://\x00", "nothing", "http://host:99999/"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    """Without a word of it, since it may be a secret."""
    with pytest.raises((Refused, Later)) as error:
        post(address, b"", {})
    assert address == "" or address not in str(error.value)


def test_neither_address_nor_secret_is_logged(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    """Not even at the level DEBUG, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    headers = {"Authorization": "Bearer geheim"}
    for status in (200, 404, 503):
        sink.answering = lambda _, status=status: Reply(status)  # type: ignore[misc]
        with suppress(Refused, Later):
            post(f"{sink.address}/geheim", b"", headers)
    with suppress(Later):
        post("http://geheim.invalid/geheim", b"", headers)
    with suppress(Refused, Later):
        post("http://[geheim", b"", headers)
    assert "geheim" not in caplog.text
    assert "127.0.0.1" not in caplog.text


def test_addresses_that_do_not_answer_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of many addresses takes no longer than one: each gets what the ones before left."""
    given: list[float] = []
    monkeypatch.setattr(posting, "time", SimpleNamespace(monotonic=lambda: sum(given)))

    def connect(*arguments: Any) -> None:
        timeout = arguments[3]
        given.append(timeout)
        raise httpcore.ConnectTimeout

    addresses = [f"127.0.0.{number}" for number in range(1, 9)]
    monkeypatch.setattr(posting, "resolved", lambda *_: addresses)
    monkeypatch.setattr(posting, "CONNECT_S", 10.0)
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    with pytest.raises(Later):
        post("http://many.example/", b"", {}, within_s=15.0)
    assert given == [10.0, 5.0]
