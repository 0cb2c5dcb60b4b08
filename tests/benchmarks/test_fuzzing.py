"""The API is fuzzed for some seconds; `make fuzz` does it for as long as one likes."""

from pathlib import Path

import httpx
import pytest

from benchmarks.fuzzing import ENDLESS, fault_of, run
from benchmarks.odd_requests import Fuzzer, Route

pytestmark = pytest.mark.anyio
ROUTE = Route(
    "/drift",
    ("GET",),
    ("read",),
    documented={"200": frozenset({"application/json"}), "default": frozenset()},
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def answered(status: int, kind: str) -> httpx.Response:
    request = httpx.Request("GET", "http://localhost/drift")
    return httpx.Response(status, headers={"content-type": kind}, request=request)


def test_broken_promises_are_seen() -> None:
    """A failure, an error as bare text and an answer without the scope are faults; what is
    documented is none.
    """
    problem = "application/problem+json"
    for status, kind, scope, fault in (
        (500, problem, "read", "status 500"),
        (503, problem, "read", ""),
        (404, "text/plain", "read", "status 404 as text/plain"),
        (404, problem, "read", ""),
        (200, "application/json", "predict", "without the scope"),
        (200, "application/json", "admin", ""),
        (202, "application/json", "admin", "does not name"),
        (200, "text/csv", "admin", "does not name"),
    ):
        found = fault_of(ROUTE, scope, answered(status, kind))
        assert fault in found if fault else found == "", (status, kind, scope)


def test_a_run_is_repeated_by_its_seed() -> None:
    """The same seed draws the same requests."""
    keys = {"read": "dg_a_b", "admin": "dg_c_d"}
    first, again = (Fuzzer([ROUTE], keys, 7) for _ in range(2))
    assert [first.draw() for _ in range(50)] == [again.draw() for _ in range(50)]


@pytest.mark.parametrize("seconds", [3, pytest.param(45, marks=pytest.mark.long)])
async def test_no_request_breaks_a_promise(
    seconds: float, tmp_path: Path, redis_url: str, prefix: str
) -> None:
    """No status of 500, no error as bare text, nothing without its scope, and no turn of the event
    loop over 50 ms, whatever is sent to whatever route with whatever key.
    """
    found = await run(tmp_path, redis_url, prefix, int(seconds), seconds)
    assert found.faults == []
    assert found.requests > len(ENDLESS) + 40
