from collections import deque
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from driftgauge.producer.access import rates
from driftgauge.producer.access.rates import Rates
from driftgauge.producer.app import create_app
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.settings import Settings
from tests.producer.conftest import GOOD, running
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(rates, "time", SimpleNamespace(monotonic=made))  # not asyncio's
    return made


def test_a_burst_gets_its_second_and_no_more(clock: Clock) -> None:
    """A caller has its limit in a second, and again as the second passes; callers do not share."""
    limit = Rates(10)
    assert [limit.admit("a") for _ in range(12)] == [True] * 10 + [False] * 2
    assert limit.admit("b")
    clock.now += 1.5
    assert sum(limit.admit("a") for _ in range(20)) == 5
    clock.now += 2.0
    assert sum(limit.admit("a") for _ in range(20)) == 10


def test_steady_traffic_at_the_limit_passes_like_in_an_exact_window(clock: Clock) -> None:
    """Against an exact window, which keeps the time of every request: the same steady traffic
    passes, and overload is cut to about the limit.
    """
    for per_second, most in ((90, 900), (300, 1000)):
        limit, times, passed, reference = Rates(100), deque[float](), 0, 0
        for _ in range(per_second * 10):
            clock.now += 1 / per_second
            passed += limit.admit("a")
            while times and times[0] <= clock.now - 1:
                times.popleft()
            if len(times) < 100:
                times.append(clock.now)
                reference += 1
        assert reference <= most + 100
        assert 0.9 * reference <= passed <= most + 1


@pytest.mark.usefixtures("clock")
def test_the_memory_is_bounded_and_keeps_who_is_active() -> None:
    """However many callers come, a fixed number is remembered; one that goes on asking is not
    forgotten.
    """
    limit = Rates(10_000, most_callers=100)
    for number in range(10_000):
        assert limit.admit(f"address {number}")
        assert limit.admit("active")
    assert len(limit._windows) == 100
    assert not limit.admit("active")


@pytest.mark.usefixtures("linear")
async def test_too_many_requests(settings: Settings, clock: Clock) -> None:
    """Beyond its limit a key is answered 429 with Retry-After and the limit's name, others are not,
    health never.
    """
    del clock
    path = settings.keys_path
    shop, other = (create_key(path, name, ("predict",), None) for name in ("shop", "other"))
    async with running(create_app(settings.model_copy(update={"requests_per_second": 3}))) as http:

        async def ask(key: str) -> httpx.Response:
            return await http.post("/predict", json={"features": GOOD}, headers={"X-API-Key": key})

        answers = [await ask(shop) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200] * 3 + [429]
        document = problem(answers[-1], 429)
        assert "'shop'" in document["detail"]
        assert "3 requests" in document["detail"]
        assert answers[-1].headers["retry-after"] == "1"
        assert (await ask(other)).status_code == 200
        assert (await http.get("/livez")).status_code == 200


@pytest.mark.usefixtures("linear")
async def test_people_outside_are_limited_by_address(settings: Settings, clock: Clock) -> None:
    """Without a valid key the address counts, an IPv6 site as one; this machine's own clients are
    not limited.
    """
    del clock
    app = create_app(settings.model_copy(update={"requests_per_second": 2}))

    async def statuses(address: str, path: str = "/health") -> list[int]:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return [(await http.get(path)).status_code for _ in range(3)]

    async with running(app):
        assert await statuses("203.0.113.7") == [200, 200, 429]
        assert await statuses("2001:db8::1") == [200, 200, 429]
        assert await statuses("2001:db8::2") == [429] * 3
        assert await statuses("127.0.0.1") == await statuses("::1") == [200] * 3
        assert await statuses("203.0.113.7", "/livez") == [200] * 3


@pytest.mark.usefixtures("linear")
async def test_bodies_and_rows_are_bounded(settings: Settings) -> None:
    """Bodies beyond the limit of their route and lists of too many events are 413, which names the
    limit.
    """
    own = settings.model_copy(
        update={"predict_max_bytes": 100, "events_max_bytes": 1000, "events_max_rows": 2}
    )
    async with running(create_app(own)) as http:
        event = {"features": GOOD, "prediction": 1}
        assert (
            "100 bytes" in problem(await http.post("/predict", content=b" " * 101), 413)["detail"]
        )

        async def endless() -> Any:
            while True:
                yield b" " * 64

        assert "1000 bytes" in problem(await http.post("/events", content=endless()), 413)["detail"]
        assert "at most 2" in problem(await http.post("/events", json=[event] * 3), 413)["detail"]
        assert (await http.post("/events", json=[event] * 2)).status_code == 202
        problem(await http.post("/login", content=b" " * 9000), 413)


async def test_a_body_that_announces_too_much_is_refused_unread(settings: Settings) -> None:
    """Content-Length is believed when it is too large: not a byte is waited for."""
    async with running(create_app(settings)) as http:

        async def never() -> Any:
            pytest.fail("the body was read")
            yield b""

        problem(
            await http.post("/predict", content=never(), headers={"Content-Length": str(1 << 40)}),
            413,
        )
