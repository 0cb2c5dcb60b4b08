"""The registry in a folder and in object storage: the same tests over both."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftgauge.shared.registry.registry import ModelRegistry
from tests.shared.storage.bucket import bucket


@pytest.fixture(scope="session")
def object_storage() -> Iterator[str]:
    """Address of a bucket of moto's server."""
    if not os.environ.get("CI"):
        for package in ("moto", "obstore"):
            pytest.importorskip(package, reason=f"no {package}: pip install -e '.[test]'")
    with bucket() as url:
        yield url


@pytest.fixture(params=["folder", "objects"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> ModelRegistry:
    """An empty registry in either."""
    if request.param == "folder":
        return ModelRegistry(tmp_path / "registry")
    from driftgauge.shared.storage.objects import Objects

    url: str = request.getfixturevalue("object_storage")
    return ModelRegistry(Objects(f"{url}/{tmp_path.name}"))
