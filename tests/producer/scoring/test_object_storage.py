"""Two API hosts that share no disk: their registry is in object storage."""

import os
from pathlib import Path

import httpx
import pytest

from driftgauge.producer.app import create_app
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import SCHEMA, publish, rows, running, until
from tests.shared.storage.bucket import bucket

pytestmark = pytest.mark.anyio
if not os.environ.get("CI"):
    pytest.importorskip("moto", reason="no moto: pip install -e '.[test]'")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_promotion_is_served_by_all(redis_url: str, prefix: str, tmp_path: Path) -> None:
    """A version that is promoted at one host is served by the other within its next looks, a
    rollback too, and neither has a file of the registry on its disk.
    """

    def settings(name: str, url: str) -> Settings:
        return Settings(
            redis_url=redis_url,
            key_prefix=prefix,
            data_dir=tmp_path / name,
            registry_dir=tmp_path / name / "registry",
            registry_url=f"{url}/{prefix}",
        )

    async def serves(http: httpx.AsyncClient) -> str | None:
        models = (await http.get("/models")).json()["models"]
        return str(models[0]["serving"]["version"]) if models else None

    with bucket() as url:
        registry: ModelRegistry = registry_of(settings("one", url))
        publish(registry, "plant", SCHEMA, rows())
        async with (
            running(create_app(settings("one", url))) as one,
            running(create_app(settings("two", url))) as two,
        ):
            assert await serves(one) == await serves(two) == "1.0.0"
            publish(registry, "plant", SCHEMA, rows(), stage="staging")
            body = {"force": True, "reason": "few rows"}
            answer = await one.post("/models/plant/versions/2.0.0/promote", json=body)
            assert answer.status_code == 200, answer.text

            async def both(version: str) -> bool:
                return await serves(one) == await serves(two) == version

            await until(lambda: both("2.0.0"))
            assert (await two.post("/models/plant/rollback", json={})).status_code == 200
            await until(lambda: both("1.0.0"))
    assert not any(names and "manifest.json" in names for _, _, names in os.walk(tmp_path))
