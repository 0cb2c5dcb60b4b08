"""The worker's port: what it tells, to whom, and that nobody can make it work."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from driftgauge.consumer.metrics import opening, port
from driftgauge.consumer.metrics.opening import open_port
from driftgauge.consumer.metrics.port import MOST_CONNECTIONS, Port, Teller
from driftgauge.consumer.metrics.standing import DEAD_S, STALLED_S, Standing
from driftgauge.consumer.metrics.table import WORKER
from driftgauge.consumer.running.tally import FAILURES, Tally
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.access.key_ring import KeyRing
from driftgauge.shared.access.listening import listen
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.local.processes import free_port
from driftgauge.shared.metrics.text import MEDIA_TYPES
from driftgauge.shared.settings import Settings
from tests.exposition import check_by_promtool, parse, parse_openmetrics, value
from tests.integration.plant import wait_for

HOSTILE = 'a"b\\ \n} 1\nforged 5\n# EOF'


def duty(tally: Tally, *, owned: bool = True, fails: bool = False) -> Any:
    return SimpleNamespace(name=f"{tally.stage} x", tally=tally, owned=owned, fails=fails)


def standing(*duties: Any, **more: Any) -> Standing:
    given = {"models": 1, "fault": "", "looked": True, "round_at": time.monotonic()}
    return Standing(duties, **{**given, **more})


def busy() -> Standing:
    """A worker whose stages have done everything that is counted."""
    counting, other = Tally("counting", HOSTILE), Tally("counting", HOSTILE)
    for tally in (counting, other):
        tally.takeovers += 1
        tally.turned(0.5, None)
        tally.rested(0.5)
        tally.committed()
    other.turned(0.0, time.time_ns() // 1_000_000 - 60_000)
    judging = Tally("judging", HOSTILE, takeovers=1)
    judging.failed("fault")
    archiving = Tally("archiving", HOSTILE, takeovers=1)
    archiving.removed(2)
    return standing(duty(counting), duty(other), duty(judging, owned=False), duty(archiving))


@contextmanager
def telling(
    found: Callable[[], Standing], keys: Path | None = None, names: tuple[str, ...] = ()
) -> Iterator[tuple[str, int]]:
    """A port on loopback, and its address."""
    listener = listen("127.0.0.1", 0)
    address: tuple[str, int] = listener.getsockname()
    told = Port(listener, Teller(found, KeyRing(keys or Path("no/keys.json")), names))
    told.start()
    try:
        yield address
    finally:
        told.close()


def get(address: tuple[str, int], path: str, method: str = "GET", **headers: str) -> httpx.Response:
    with httpx.Client(trust_env=False, verify=False) as http:  # noqa: S501  plain HTTP
        return http.request(method, f"http://{address[0]}:{address[1]}{path}", headers=headers)


def sent(address: tuple[str, int], content: bytes) -> bytes:
    """What comes back to raw bytes until the connection is closed."""
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(content)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
        return b"".join(parts)


def test_metrics_in_both_formats() -> None:
    """What the stages did is told by stage and model, partitions together; every metric of the
    table is there, both parsers and Prometheus's linter read it, and a hostile name forges nothing.
    """
    with telling(busy) as address:
        plain = get(address, "/metrics")
        strict = get(address, "/metrics", accept="application/openmetrics-text;version=1.0.0")
    assert plain.headers["content-type"] == MEDIA_TYPES["text"]
    assert strict.headers["content-type"] == MEDIA_TYPES["openmetrics"]
    check_by_promtool(plain.content)
    metrics = parse(plain.text)
    assert metrics.keys() == parse_openmetrics(strict.text).keys()
    assert {name.removesuffix("_total") for name in WORKER} <= metrics.keys()
    of = {"stage": "counting", "model": HOSTILE}
    assert value(metrics, "driftgauge_stage_seconds_total", **of) == 1.0
    assert value(metrics, "driftgauge_stage_commits_total", **of) == 2
    assert 60 <= value(metrics, "driftgauge_stage_lag_seconds", **of) < 600
    assert value(metrics, "driftgauge_leases_held", stage="counting") == 2
    assert value(metrics, "driftgauge_leases_held", stage="judging") == 0
    assert value(metrics, "driftgauge_takeovers_total", stage="judging") == 1
    assert value(metrics, "driftgauge_archive_expired_total", model=HOSTILE) == 2
    failed = {"stage": "judging", "model": HOSTILE, "reason": "fault"}
    assert value(metrics, "driftgauge_stage_failures_total", **failed) == 1
    for reason in FAILURES:
        none = {"stage": "counting", "model": HOSTILE, "reason": reason}
        assert value(metrics, "driftgauge_stage_failures_total", **none) == 0
    spells = "driftgauge_stage_spell_duration_seconds_bucket"
    assert value(metrics, spells, stage="counting", le="0.25") == 0
    assert value(metrics, spells, stage="counting", le="0.5") == 2
    assert value(metrics, "process_resident_memory_bytes") > 1e6


def test_a_scrape_is_told_again_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask, the text is made once a second."""
    monkeypatch.setattr(port, "FRESH_S", 600.0)
    made = []

    def counted() -> Standing:
        made.append(1)
        return busy()

    with telling(counted) as address:
        assert len({get(address, "/metrics").content for _ in range(5)}) == 1
    assert len(made) == 1


def test_whether_it_is_ready() -> None:
    """Without Redis, before the first look and with a main thread that stands still it is not; a
    stage that fails is told and leaves it ready; and a thread that stands for long is no life.
    """
    now = time.monotonic()
    cases: list[tuple[Standing, int, str]] = [
        (standing(), 200, ""),
        (standing(fault="Redis does not answer."), 503, "does not answer"),
        (standing(looked=False), 503, "not looked for models"),
        (standing(round_at=now - STALLED_S - 1), 503, "main thread"),
        (standing(duty(Tally("counting"), fails=True)), 200, "counting x fails"),
    ]
    current: list[Standing] = [standing()]
    with telling(lambda: current[0]) as address:
        for found, status, reason in cases:
            current[0] = found
            answer = get(address, "/readyz")
            assert answer.status_code == status
            assert (answer.json()["status"] == "ready") == (not reason)
            assert reason in " ".join(answer.json()["reasons"])
            assert get(address, "/livez").status_code == 200
        current[0] = standing(round_at=now - DEAD_S - 1)
        assert get(address, "/livez").status_code == 503


def test_failing_stages_are_named_up_to_a_bound() -> None:
    """A thousand stages that fail are no page of a megabyte."""
    many = [duty(Tally("counting"), fails=True) for _ in range(1000)]
    assert len(standing(*many).failing) < 30
    assert standing(*many).failing[-1] == "and 980 more"


def test_with_keys_it_asks_for_one(tmp_path: Path) -> None:
    """The keys are the API's: /metrics needs the scope read, by either header; whether it lives and
    is ready everybody may know, but not why.
    """
    path = tmp_path / "keys.json"
    reader = create_key(path, "prometheus", ("read",), None)
    poster = create_key(path, "shop", ("predict",), None)
    with telling(lambda: standing(fault="Redis does not answer."), path) as address:
        assert get(address, "/metrics").status_code == 401
        assert get(address, "/metrics", authorization="Bearer wrong").status_code == 401
        assert get(address, "/metrics", authorization=f"Bearer {poster}").status_code == 403
        assert get(address, "/metrics", authorization=f"Bearer {reader}").status_code == 200
        assert get(address, "/metrics", **{"x-api-key": reader}).status_code == 200
        assert get(address, "/livez").status_code == 200
        assert get(address, "/readyz").json() == {"status": "degraded", "reasons": None}
        told = get(address, "/readyz", authorization=f"Bearer {reader}")
        assert told.json()["reasons"] == ["Redis does not answer."]


def test_without_keys_no_page_reads_it() -> None:
    """A page whose own name is made to lead here (DNS rebinding) is told nothing."""
    with telling(busy, names=("worker",)) as address:
        assert get(address, "/metrics", host="evil.example").status_code == 421
        assert get(address, "/readyz", host="evil.example").json()["reasons"] is None
        for name in ("localhost:9", "127.0.0.1", "[::1]:9", "worker"):
            assert get(address, "/metrics", host=name).status_code == 200


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"DELETE /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET http://localhost/livez HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET /livez SIP/2.0\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_refused(content: bytes, status: int) -> None:
    """Whatever comes, there is an answer or an end, and the next request is answered."""
    with telling(busy) as address:
        try:
            answer = sent(address, content)
        except ConnectionError:  # it was ended before all was sent
            answer = b""
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()) or (status == 431 and not answer)
        assert get(address, "/livez").status_code == 200


def test_head_has_no_body() -> None:
    """HEAD is answered as GET, without the body."""
    with telling(busy) as address:
        answer = sent(address, b"HEAD /livez HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"Content-Length: 18" in head
    assert not body


def test_slow_and_many_connections_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opens more connections than there may be is closed at once; who says nothing, or reads
    nothing, is closed in time; then others are answered again.
    """
    monkeypatch.setattr(port, "TIMEOUT_S", 0.5)
    with telling(busy) as address, ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection(address, timeout=60))
            for _ in range(3 * MOST_CONNECTIONS)
        ]
        for connection in held:
            try:
                assert connection.recv(1) == b""
            except ConnectionError:  # aborted: as good
                continue
        wait_for(lambda: get(address, "/livez").status_code == 200, "an answer")


def test_it_listens_where_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off by default; on loopback without more; elsewhere only with keys or on purpose; and a port
    in use is a fault of the settings.
    """
    assert open_port(Settings(data_dir=tmp_path), busy) is None
    free = free_port(19_800)
    settings = Settings(data_dir=tmp_path, worker_port=free)
    told = open_port(settings, busy)
    assert told is not None
    try:
        assert get(("127.0.0.1", free), "/livez").status_code == 200
        with pytest.raises(ConfigurationError, match=f"port {free}"):
            open_port(settings, busy)
    finally:
        told.close()
    everywhere = settings.model_copy(update={"worker_host": "192.0.2.1"})
    with pytest.raises(ConfigurationError, match="--insecure"):
        open_port(everywhere, busy)
    monkeypatch.setattr(opening, "listen", lambda *_: listen("127.0.0.1", 0))
    for insecure in (True, False):
        told = open_port(everywhere, busy, insecure=insecure)
        assert told is not None
        told.close()
        create_key(tmp_path / "keys.json", f"k{insecure}", ("read",), None)
