"""The versions that the API serves, followed from the registry folder."""

from pathlib import Path

import numpy as np
import pytest

from producer.serving import Serving
from shared.model_registry import Manifest, ModelRegistry, PublishedVersion, new_manifest
from tests.consumer.judging.weeks import SCHEMA, calibration_of, profile_of, rows


@pytest.mark.anyio
async def test_a_calibration_is_published_again(tmp_path: Path) -> None:
    """A version that is calibrated while it is served is announced again with its calibration, once each time."""
    registry = ModelRegistry(tmp_path)
    columns = rows(np.random.default_rng(0), 14)
    profile = profile_of(columns)
    registry.register(PublishedVersion(new_manifest("plant", "1.0.0", "monitor"), SCHEMA, profile))
    announced: list[bytes] = []

    def announce(_manifest: Manifest, packed: bytes) -> None:
        announced.append(packed)

    serving = Serving(registry, None, announce)
    await serving.refresh()
    for target in (1.0, 2.0):
        made = calibration_of(profile, columns, target=target)
        registry.store_calibration("plant", "1.0.0", made)
        await serving.refresh()
        await serving.refresh()
        assert PublishedVersion.unpack(announced[-1]).calibration == made
    assert len(announced) == 3
