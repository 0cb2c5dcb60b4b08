"""Errors that a route raises become answers."""

import httpx
import pytest
import redis
from fastapi import FastAPI

from driftgauge.producer import failures

pytestmark = pytest.mark.anyio
REFUSALS = {
    "OOM": redis.exceptions.OutOfMemoryError("command not allowed"),
    "READONLY": redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
    "NOREPLICAS": redis.ResponseError("NOREPLICAS Not enough good replicas to write."),
    "MISCONF": redis.ResponseError("MISCONF Errors writing to the AOF file: No space left"),
}


async def ask(error: Exception) -> httpx.Response:
    app = FastAPI()
    failures.install(app)

    @app.post("/")
    async def route() -> None:
        raise error

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.post("/")


@pytest.mark.parametrize("code", REFUSALS)
async def test_what_redis_refuses_to_write_can_be_tried_again(code: str) -> None:
    """A command to a Redis that takes no writes is answered 503 with the reason and Retry-After,
    not as a fault of the API.
    """
    answer = await ask(REFUSALS[code])
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "Nothing was done" in answer.json()["detail"]


async def test_another_error_of_redis_is_a_fault_of_ours() -> None:
    """It is answered 500, and logged."""
    assert (await ask(redis.ResponseError("WRONGTYPE Operation"))).status_code == 500
