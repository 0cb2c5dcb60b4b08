"""GET /model-info: what is known about the production version of a model."""

from typing import Any

import msgspec
from fastapi import APIRouter

from producer.parts import Parts


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(tags=["models"])

    @routes.get("/model-info")
    async def model_info(model: str | None = None) -> dict[str, Any]:
        """Give the schema that requests must fit, metrics and reference of the production version."""
        served = parts.serving.choose(model)
        manifest = served.manifest
        return {
            "model": served.model,
            "version": served.version,
            "task": manifest.task,
            "created": manifest.created,
            "partitions": manifest.partitions,
            "feature_engineering": manifest.feature_engineering,
            "metrics": manifest.metrics,
            "batch_counts": manifest.batch_counts,
            "reference_rows": served.published.reference.rows,
            "excluded": {feature.name: feature.excluded for feature in served.schema.features if feature.excluded},
            "schema": msgspec.to_builtins(served.schema),
        }

    return routes
